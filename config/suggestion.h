#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace retouchd::config {

/// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`.
[[nodiscard]] std::size_t edit_distance(std::string_view a, std::string_view b);

/// The known word nearest to `word`, or an empty one when none is near enough to be what was meant.
[[nodiscard]] std::string nearest(std::string_view word, std::span<const std::string> known);

}  // namespace retouchd::config
