#include "cli/cells.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

namespace retouchd::cli {
namespace {

constexpr std::string_view kCut = "...";

using Range = std::pair<char32_t, char32_t>;
// Unicode's East Asian Width W and F, in blocks.
constexpr std::array kWide{Range{0x1100, 0x115F},   Range{0x2E80, 0x303E},   Range{0x3041, 0xA4CF},   Range{0xAC00, 0xD7A3},
                           Range{0xF900, 0xFAFF},   Range{0xFE30, 0xFE6F},   Range{0xFF00, 0xFF60},   Range{0xFFE0, 0xFFE6},
                           Range{0x1F300, 0x1F64F}, Range{0x1F680, 0x1F6FF}, Range{0x1F900, 0x1F9FF}, Range{0x20000, 0x3FFFD}};
constexpr std::array kNoWidth{Range{0x0300, 0x036F}, Range{0x200B, 0x200F}, Range{0x20D0, 0x20FF}, Range{0xFE00, 0xFE0F}};

template <std::size_t kSize>
bool is_in(const std::array<Range, kSize>& ranges, char32_t code) {
  return std::ranges::any_of(ranges, [code](const Range& range) { return code >= range.first && code <= range.second; });
}

/// One letter as it is printed.
struct Letter {
  std::string_view bytes;
  std::size_t width = 1;
};

/// Takes the first letter off `text`, which is not empty.
Letter take_letter(std::string_view& text) {
  const auto lead = static_cast<unsigned char>(text.front());
  const std::size_t length = lead < 0x80 ? 1 : (lead >> 5U) == 0x6 ? 2 : (lead >> 4U) == 0xE ? 3 : (lead >> 3U) == 0x1E ? 4 : 0;
  const auto refuse = [&text](std::size_t bytes) {
    text.remove_prefix(bytes);
    return Letter{"?", 1};
  };
  if (length == 0 || length > text.size()) return refuse(1);
  char32_t code = length == 1 ? lead : lead & (0xFFU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    const auto next = static_cast<unsigned char>(text[i]);
    if ((next & 0xC0U) != 0x80U) return refuse(1);
    code = (code << 6U) | (next & 0x3FU);
  }
  // U+0080 to U+009F control some terminals; U+202A to U+202E and U+2066 to U+2069 turn the direction of what follows.
  const bool is_control =
      code < 0x20 || (code >= 0x7F && code < 0xA0) || (code >= 0x202A && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
  if (is_control) return refuse(length);
  const Letter letter{text.substr(0, length), is_in(kNoWidth, code) ? 0U : is_in(kWide, code) ? 2U : 1U};
  text.remove_prefix(length);
  return letter;
}

std::vector<Letter> letters_of(std::string_view text) {
  std::vector<Letter> letters;
  while (!text.empty()) letters.push_back(take_letter(text));
  return letters;
}

std::size_t width_of(const std::vector<Letter>& letters) {
  std::size_t width = 0;
  for (const Letter& letter : letters) width += letter.width;
  return width;
}

}  // namespace

std::size_t cells(std::string_view text) { return width_of(letters_of(text)); }

std::string fitted(std::string_view text, std::size_t width, Keep keep) {
  auto letters = letters_of(text);
  std::size_t taken = width_of(letters);
  std::string_view cut;
  if (taken > width) {
    cut = kCut.substr(0, std::min(kCut.size(), width));
    const auto drop = [&](auto place) {
      taken -= place->width;
      letters.erase(place);
    };
    while (taken + cut.size() > width) drop(keep == Keep::kEnd ? letters.begin() : letters.end() - 1);
    taken += cut.size();
  }
  std::string out;
  if (keep == Keep::kEnd) out += cut;
  for (const Letter& letter : letters) out += letter.bytes;
  if (keep == Keep::kBeginning) out += cut;
  return out.append(width - taken, ' ');
}

}  // namespace retouchd::cli
