#pragma once

#include <span>
#include <string_view>

namespace retouchd::wire {

/// The name among `known` with the fewest typing mistakes (insert, drop, replace, swap) between it and `word`; the first of
/// equals. Empty when `known` is empty.
[[nodiscard]] std::string_view nearest_name(std::string_view word, std::span<const std::string_view> known);

}  // namespace retouchd::wire
