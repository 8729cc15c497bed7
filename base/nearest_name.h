#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace retouchd {

/// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b` (optimal string alignment). Words are cut
/// at 64 bytes: a hostile name must not cost more than a few thousand steps.
[[nodiscard]] std::size_t edit_distance(std::string_view a, std::string_view b);

/// The name among `known` with the fewest typing mistakes between it and `word`; the first of equals. Empty when `known` is
/// empty.
[[nodiscard]] std::string_view nearest_name(std::string_view word, std::span<const std::string_view> known);

}  // namespace retouchd
