#include "image/tiff_directory.h"

#include <algorithm>
#include <array>
#include <set>

namespace retouchd::image {
namespace {

constexpr std::uint16_t kNewSubfileType = 254;
constexpr std::uint16_t kSubfileType = 255;
constexpr std::array<std::uint16_t, 4> kStrileTags{273, 279, 324, 325};  // offsets and sizes of strips and tiles
constexpr std::uint64_t kReducedOrMask = 1 | 4;                          // bits of the one tag
constexpr std::uint64_t kOldReduced = 2;                                 // value of the other

/// Numbers at any place of the file; what lies beyond its end reads as 0 and is noted.
class Reader {
 public:
  explicit Reader(ByteSpan file) : file_(file) {
    is_big_endian_ = file.size() > 1 && file[0] == 'M';
    is_big_tiff_ = number(2, 2) == 43;
  }

  [[nodiscard]] bool is_big_tiff() const noexcept { return is_big_tiff_; }
  [[nodiscard]] bool has(std::uint64_t at, std::uint64_t count) const noexcept {
    return at <= file_.size() && count <= file_.size() - at;
  }
  [[nodiscard]] std::uint64_t number(std::uint64_t at, unsigned bytes) const noexcept {
    if (!has(at, bytes)) return 0;
    std::uint64_t value = 0;
    for (unsigned i = 0; i < bytes; ++i) value = value << 8 | file_[at + (is_big_endian_ ? i : bytes - 1 - i)];
    return value;
  }

 private:
  ByteSpan file_;
  bool is_big_endian_ = false;
  bool is_big_tiff_ = false;
};

std::uint64_t size_of_type(std::uint64_t type) noexcept {
  constexpr std::array<std::uint8_t, 19> kSizes{0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8};
  return type < kSizes.size() ? kSizes[type] : 0;
}

/// The directory at `at`; `next` becomes the place of the following one, or 0.
TiffDirectory read_directory(const Reader& file, std::uint64_t at, std::uint64_t& next) {
  const bool is_big = file.is_big_tiff();
  const unsigned count_bytes = is_big ? 8 : 2;
  const unsigned word = is_big ? 8 : 4;
  const std::uint64_t entry_bytes = is_big ? 20 : 12;
  TiffDirectory directory;
  next = 0;
  const std::uint64_t count = file.number(at, count_bytes);
  const std::uint64_t first = at + count_bytes;
  constexpr std::uint64_t kMostEntries = 65'535;
  if (!file.has(at, count_bytes) || count > kMostEntries || !file.has(first, count * entry_bytes + word)) {
    directory.is_cut = true;
    return directory;
  }
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t entry = first + i * entry_bytes;
    const auto tag = static_cast<std::uint16_t>(file.number(entry, 2));
    const std::uint64_t type_bytes = size_of_type(file.number(entry + 2, 2));
    const std::uint64_t values = file.number(entry + 4, word);
    const std::uint64_t place = entry + 4 + word;
    if (tag == kNewSubfileType || tag == kSubfileType) {
      const std::uint64_t kind = file.number(place, static_cast<unsigned>(std::clamp<std::uint64_t>(type_bytes, 1, word)));
      if (tag == kNewSubfileType ? (kind & kReducedOrMask) != 0 : kind == kOldReduced) directory.is_page = false;
    }
    if (type_bytes == 0 || values > UINT64_MAX / type_bytes || values * type_bytes <= word) continue;
    const std::uint64_t bytes = values * type_bytes;
    if (!file.has(file.number(place, word), bytes)) {
      directory.is_cut = true;
      continue;
    }
    const bool is_strile = std::find(kStrileTags.begin(), kStrileTags.end(), tag) != kStrileTags.end();
    (is_strile ? directory.strile_bytes : directory.value_bytes) += bytes;
  }
  next = file.number(first + count * entry_bytes, word);
  return directory;
}

}  // namespace

std::vector<TiffDirectory> read_tiff_directories(ByteSpan file, std::size_t most) {
  const Reader reader(file);
  std::vector<TiffDirectory> directories;
  std::set<std::uint64_t> seen;
  std::uint64_t at = reader.is_big_tiff() ? reader.number(8, 8) : reader.number(4, 4);
  do {
    seen.insert(at);
    std::uint64_t next = 0;
    directories.push_back(read_directory(reader, at, next));
    at = next;
  } while (at != 0 && !seen.contains(at) && directories.size() < most);
  return directories;
}

}  // namespace retouchd::image
