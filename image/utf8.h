#pragma once

#include <string>
#include <string_view>

namespace retouchd::image {

/// `text` as UTF-8: unchanged when it is that already, else read as Latin-1. What a zero byte ends, and what follows, is left
/// out.
[[nodiscard]] std::string utf8_of(std::string_view text);

/// Each byte one character.
[[nodiscard]] std::string utf8_of_latin1(std::string_view text);

}  // namespace retouchd::image
