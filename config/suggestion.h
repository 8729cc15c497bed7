#pragma once

#include <span>
#include <string>
#include <string_view>

namespace retouchd::config {

/// The known word nearest to `word`, or an empty one when none is near enough to be what was meant.
[[nodiscard]] std::string nearest(std::string_view word, std::span<const std::string> known);

}  // namespace retouchd::config
