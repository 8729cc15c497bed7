#include "image/utf8.h"

#include <cstddef>
#include <cstdint>

namespace retouchd::image {
namespace {

/// Length of the sequence that `text` begins with; 0 when it is not UTF-8 (overlong, a surrogate, beyond U+10FFFF, cut).
std::size_t sequence_at(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  const std::uint8_t second = byte(1);
  const bool is_allowed = !(first == 0xE0 && second < 0xA0) && !(first == 0xED && second >= 0xA0) &&
                          !(first == 0xF0 && second < 0x90) && !(first == 0xF4 && second >= 0x90);
  return is_allowed ? length : 0;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = sequence_at(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

}  // namespace

std::string utf8_of_latin1(std::string_view text) {
  std::string utf8;
  utf8.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<std::uint8_t>(c);
    if (byte < 0x80) {
      utf8 += c;
    } else {
      utf8 += static_cast<char>(0xC0 | byte >> 6);
      utf8 += static_cast<char>(0x80 | (byte & 0x3F));
    }
  }
  return utf8;
}

std::string utf8_of(std::string_view text) {
  text = text.substr(0, text.find('\0'));
  return is_utf8(text) ? std::string(text) : utf8_of_latin1(text);
}

}  // namespace retouchd::image
