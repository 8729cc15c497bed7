#include "tests/malformed/layout.h"

#include <zlib.h>

#include <algorithm>
#include <string_view>
#include <utility>

namespace retouchd::malformed {
namespace {

using image::ByteSpan;
using image::ByteVector;

constexpr std::size_t kMostFields = 4096;
constexpr std::size_t kDeepest = 8;  // boxes in boxes, directories in directories
constexpr std::size_t kMostDirectories = 32;

/// Walks one file; each walker notes fields and borders and goes on where the lengths lead.
class Walk {
 public:
  explicit Walk(ByteSpan file) : file_(file) {}

  Layout take() {
    layout_.borders.push_back(file_.size());
    std::sort(layout_.borders.begin(), layout_.borders.end());
    return std::move(layout_);
  }

  void whole() {
    if (begins(0, "\xFF\xD8")) return jpeg();
    if (begins(0, "\x89PNG")) return png();
    if (begins(0, "II") || begins(0, "MM")) return tiff(0, file_.size());
    if (begins(0, "RIFF")) return riff();
    if (begins(4, "ftyp") || begins(4, "JXL ")) return boxes(0, file_.size(), 0);
    if (begins(36, "acsp")) return icc(0);
    if (begins(0, "P")) return pnm();
    bytes(0, 64);
  }

 private:
  [[nodiscard]] bool begins(std::size_t at, std::string_view text) const {
    return at <= file_.size() && file_.size() - at >= text.size() &&
           std::equal(text.begin(), text.end(), file_.begin() + static_cast<std::ptrdiff_t>(at),
                      [](char a, std::uint8_t b) { return static_cast<std::uint8_t>(a) == b; });
  }

  /// Zero beyond the end.
  [[nodiscard]] std::uint64_t number(std::size_t at, int size, bool is_little = false) const {
    if (at > file_.size() || file_.size() - at < static_cast<std::size_t>(size)) return 0;
    std::uint64_t value = 0;
    for (int i = 0; i < size; ++i) value = value << 8 | file_[at + static_cast<std::size_t>(is_little ? size - 1 - i : i)];
    return value;
  }

  void field(std::size_t at, int size, bool is_little = false) {
    const bool is_inside = at <= file_.size() && file_.size() - at >= static_cast<std::size_t>(size);
    if (is_inside && layout_.fields.size() < kMostFields) layout_.fields.push_back({at, size, is_little});
  }
  void bytes(std::size_t at, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) field(at + i, 1);
  }
  void words(std::size_t at, std::size_t count, int size, bool is_little = false) {
    for (std::size_t i = 0; i < count; ++i) field(at + i * static_cast<std::size_t>(size), size, is_little);
  }
  void border(std::size_t at) {
    if (at <= file_.size()) layout_.borders.push_back(at);
  }

  void jpeg() {
    for (std::size_t at = 2; at + 4 <= file_.size();) {
      if (file_[at] != 0xFF) {  // entropy-coded data
        ++at;
        continue;
      }
      const int marker = file_[at + 1];
      if (marker == 0 || marker == 0xFF || (marker >= 0xD0 && marker <= 0xD8)) {
        ++at;
        continue;
      }
      border(at);
      field(at + 1, 1);
      if (marker == 0xD9) return;
      field(at + 2, 2);
      const std::size_t length = number(at + 2, 2);
      const std::size_t body = at + 4;
      if (marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC) {
        bytes(body, 1);
        words(body + 1, 2, 2);
        bytes(body + 5, 10);
      } else if (marker == 0xC4) {  // Huffman tables: class and number, 16 counts, symbols
        bytes(body, std::min<std::size_t>(24, length));
      } else if (marker == 0xDA || marker == 0xDD || marker == 0xDB || marker == 0xCC) {
        bytes(body, std::min<std::size_t>(12, length));
      } else if (begins(body, "Exif")) {
        tiff(body + 6, body + length - 2);
      } else if (begins(body, "ICC_PROFILE")) {
        bytes(body + 12, 2);
        icc(body + 14);
      } else {
        bytes(body, std::min<std::size_t>(32, length));
      }
      at = body + (length >= 2 ? length - 2 : 0);
      border(at);
    }
  }

  void png() {
    for (std::size_t at = 8; at + 12 <= file_.size();) {
      const std::size_t length = number(at, 4);
      border(at);
      field(at, 4);
      field(at + 4, 4);
      const std::size_t body = at + 8;
      if (begins(at + 4, "IHDR")) {
        words(body, 2, 4);
        bytes(body + 8, 5);
      } else if (begins(at + 4, "eXIf")) {
        tiff(body, body + length);
      } else if (begins(at + 4, "fcTL") || begins(at + 4, "acTL") || begins(at + 4, "fdAT") || begins(at + 4, "pHYs")) {
        words(body, std::min<std::size_t>(length / 4, 5), 4);
      } else {
        bytes(body, std::min<std::size_t>(length, 24));
      }
      if (length > file_.size() - body) return;
      at = body + length + 4;
    }
    border(file_.size());
  }

  /// Offsets count from `base`.
  void tiff(std::size_t base, std::size_t end) {
    const bool is_little = begins(base, "II");
    const bool is_big = number(base + 2, 2, is_little) == 43;
    border(base);
    bytes(base, 2);
    field(base + 2, 2, is_little);
    field(base + (is_big ? 8 : 4), is_big ? 8 : 4, is_little);
    directory(base, end, number(base + (is_big ? 8 : 4), is_big ? 8 : 4, is_little), is_little, is_big, 0);
  }

  void directory(std::size_t base, std::size_t end, std::uint64_t offset, bool is_little, bool is_big, std::size_t depth) {
    if (offset == 0 || offset > end - base || depth > kDeepest || ++directories_ > kMostDirectories) return;
    std::size_t at = base + offset;
    const std::size_t entry = is_big ? 20 : 12;
    const int word = is_big ? 8 : 4;
    border(at);
    field(at, is_big ? 8 : 2, is_little);
    const std::uint64_t count = std::min<std::uint64_t>(number(at, is_big ? 8 : 2, is_little), 64);
    at += is_big ? 8 : 2;
    for (std::uint64_t i = 0; i < count; ++i, at += entry) {
      const std::uint64_t tag = number(at, 2, is_little);
      field(at, 2, is_little);
      field(at + 2, 2, is_little);
      field(at + 4, word, is_little);
      const std::size_t value_at = at + 4 + static_cast<std::size_t>(word);
      field(value_at, word, is_little);
      const std::uint64_t value = number(value_at, word, is_little);
      if (tag == 0x8769 || tag == 0x8825 || tag == 0xA005 || tag == 0x014A)
        directory(base, end, value, is_little, is_big, depth + 1);
      if (value >= end - base) continue;
      if (tag == 0x8773) icc(base + value);
      if (tag == 0x0111 || tag == 0x0117 || tag == 0x0144 || tag == 0x0145) {  // where strips or tiles are, and how long
        border(base + value);
        words(base + value, std::min<std::uint64_t>(number(at + 4, word, is_little), 8), word, is_little);
      }
    }
    field(at, word, is_little);
    border(at);
    directory(base, end, number(at, word, is_little), is_little, is_big, depth + 1);
  }

  void riff() {
    field(4, 4, true);
    for (std::size_t at = 12; at + 8 <= file_.size();) {
      border(at);
      field(at, 4);
      field(at + 4, 4, true);
      const std::size_t length = number(at + 4, 4, true);
      const std::size_t body = at + 8;
      if (begins(at, "EXIF")) {
        tiff(body, body + length);
      } else if (begins(at, "ICCP")) {
        icc(body);
      } else {  // VP8X: flags and sides; VP8: frame tag, start code and sides; VP8L: sides and the first Huffman codes
        bytes(body, std::min<std::size_t>(length, 40));
      }
      if (length > file_.size() - body) return;
      at = body + length + (length & 1);
    }
    border(file_.size());
  }

  void boxes(std::size_t begin, std::size_t end, std::size_t depth) {
    for (std::size_t at = begin; at + 8 <= std::min(end, file_.size());) {
      border(at);
      field(at, 4);
      field(at + 4, 4);
      std::uint64_t length = number(at, 4);
      if (length == 0) length = end - at;
      if (length < 8 || length > end - at) return;
      const std::size_t body = at + 8;
      const std::size_t rest = length - 8;
      const auto is = [&](std::string_view type) { return begins(at + 4, type); };
      if (depth < kDeepest && (is("iprp") || is("ipco") || is("moov") || is("dinf"))) {
        boxes(body, at + length, depth + 1);
      } else if (depth < kDeepest && (is("meta") || is("iref"))) {
        field(body, 4);
        boxes(body + 4, at + length, depth + 1);
      } else if (depth < kDeepest && is("iinf")) {
        field(body + 4, 2);
        boxes(body + 6, at + length, depth + 1);
      } else if (is("mdat") || is("jxlc") || is("jxlp")) {
        bytes(body, std::min<std::size_t>(rest, 48));
      } else if (is("Exif")) {
        field(body, 4);
        tiff(body + 4, at + length);
      } else if (is("colr")) {
        field(body, 4);
        icc(body + 4);
      } else {
        words(body, std::min<std::size_t>(rest / 4, 16), 4);
        words(body, std::min<std::size_t>(rest / 2, 16), 2);
        bytes(body, std::min<std::size_t>(rest, 48));
      }
      at += length;
    }
    border(end);
  }

  void icc(std::size_t at) {
    if (!begins(at + 36, "acsp")) return;
    border(at);
    field(at, 4);
    words(at + 12, 2, 4);
    field(at + 128, 4);
    words(at + 132, std::min<std::uint64_t>(number(at + 128, 4), 16) * 3, 4);
  }

  void pnm() {
    const std::size_t header = std::min<std::size_t>(file_.size(), 32);
    bytes(0, header);
    for (std::size_t at = 0; at < header; ++at)
      if (file_[at] <= ' ') border(at);
  }

  ByteSpan file_;
  Layout layout_;
  std::size_t directories_ = 0;
};

}  // namespace

Layout layout_of(ByteSpan file) {
  Walk walk(file);
  walk.whole();
  return walk.take();
}

void repair_png(ByteVector& file) {
  for (std::size_t at = 8; at + 12 <= file.size();) {
    const std::size_t length = static_cast<std::size_t>(file[at]) << 24 | static_cast<std::size_t>(file[at + 1]) << 16 |
                               static_cast<std::size_t>(file[at + 2]) << 8 | file[at + 3];
    if (length > file.size() - at - 12) return;
    const auto sum = static_cast<std::uint32_t>(crc32(0, file.data() + at + 4, static_cast<uInt>(length + 4)));
    for (std::size_t i = 0; i < 4; ++i) file[at + 8 + length + i] = static_cast<std::uint8_t>(sum >> (24 - 8 * i));
    at += 12 + length;
  }
}

}  // namespace retouchd::malformed
