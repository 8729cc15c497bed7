#include "image/signature.h"

#include <algorithm>
#include <array>
#include <utility>

#include "image/metadata.h"

namespace retouchd::image {
namespace {

using namespace std::string_view_literals;

struct Known {
  std::size_t offset;
  std::string_view bytes;
  std::string_view looks_like;
};

constexpr std::array kOurs{
    std::pair{FileFormat::kJpeg, "\xFF\xD8\xFF"sv},
    std::pair{FileFormat::kPng, "\x89PNG\r\n\x1A\n"sv},
    std::pair{FileFormat::kTiff, "II*\0"sv},
    std::pair{FileFormat::kTiff, "MM\0*"sv},
    std::pair{FileFormat::kTiff, "II+\0"sv},  // BigTIFF
    std::pair{FileFormat::kTiff, "MM\0+"sv},
    std::pair{FileFormat::kJxl, "\xFF\x0A"sv},                  // bare
    std::pair{FileFormat::kJxl, "\0\0\0\x0CJXL \r\n\x87\n"sv},  // in boxes
};

// Camera raw files that tell by their first bytes, some of them behind those of TIFF. The rest of them look like TIFF until their
// directories are read.
constexpr std::array kRaws{
    std::pair{std::size_t{8}, "CR\x02"sv},           // Canon CR2
    std::pair{std::size_t{6}, "HEAPCCDR"sv},         // Canon CRW
    std::pair{std::size_t{4}, "ftypcrx "sv},         // Canon CR3
    std::pair{std::size_t{0}, "IIRO"sv},             // Olympus
    std::pair{std::size_t{0}, "IIRS"sv},             // Olympus
    std::pair{std::size_t{0}, "MMOR"sv},             // Olympus
    std::pair{std::size_t{0}, "IIU\0"sv},            // Panasonic, Leica
    std::pair{std::size_t{0}, "FUJIFILMCCD-RAW"sv},  // Fujifilm
    std::pair{std::size_t{0}, "\0MRM"sv},            // Minolta
    std::pair{std::size_t{0}, "FOVb"sv},             // Sigma
};

// Of two entries that both match, the first one speaks.
constexpr std::array kOthers{
    Known{0, "GIF8"sv, "a GIF picture"},
    Known{0, "%PDF"sv, "a PDF document"},
    Known{0, "%!PS"sv, "a PostScript document"},
    Known{0, "\0\0\0\x0CjP  "sv, "a JPEG 2000 picture"},
    Known{0, "\xFF\x4F\xFF\x51"sv, "a JPEG 2000 picture"},
    Known{0, "8BPS"sv, "a Photoshop document"},
    Known{0, "gimp xcf"sv, "a GIMP document"},
    Known{0, "\x76\x2F\x31\x01"sv, "an OpenEXR picture"},
    Known{0, "#?RADIANCE"sv, "a Radiance HDR picture"},
    Known{0, "qoif"sv, "a QOI picture"},
    Known{0, "DDS "sv, "a DDS texture"},
    Known{0, "BM"sv, "a BMP picture"},
    Known{0, "\0\0\1\0"sv, "a Windows icon"},
    Known{0, "<svg"sv, "an SVG drawing"},
    Known{0, "<?xml"sv, "an XML document"},
    Known{0, "<!DOCTYPE"sv, "an HTML page"},
    Known{0, "<html"sv, "an HTML page"},
    Known{0, "PK\x03\x04"sv, "a ZIP archive"},
    Known{0, "\x1F\x8B"sv, "a gzip archive"},
    Known{8, "AVI "sv, "an AVI video"},
    Known{8, "WAVE"sv, "a WAVE sound"},
    Known{0, "\x1A\x45\xDF\xA3"sv, "a Matroska or WebM video"},
    Known{0,
          "\x7F"
          "ELF"sv,
          "a program"},
};

bool matches(std::string_view data, std::size_t offset, std::string_view bytes) {
  return data.size() >= offset + bytes.size() && data.substr(offset, bytes.size()) == bytes;
}

bool is_pnm(std::string_view start) {
  return start.size() >= 3 && start[0] == 'P' && start[1] >= '1' && start[1] <= '6' &&
         " \t\n\v\f\r#"sv.find(start[2]) != start.npos;
}

constexpr std::string_view kVideo = "a video (MP4 or QuickTime)";
constexpr std::string_view kOtherHeif = "a HEIF picture that is neither HEIC nor AVIF";

/// What the brands of an ISO base media file (ISO/IEC 14496-12, its first box "ftyp") say.
Signature signature_of_brands(std::string_view data) noexcept {
  constexpr std::array kAvif{"avif"sv, "avis"sv};
  constexpr std::array kHeic{"heic"sv, "heix"sv, "heim"sv, "heis"sv, "hevc"sv, "hevx"sv, "hevm"sv, "hevs"sv};
  constexpr std::array kAnyCodec{"mif1"sv, "mif2"sv, "msf1"sv, "miaf"sv};
  const auto is_one_of = [](const auto& brands, std::string_view brand) {
    return std::find(brands.begin(), brands.end(), brand) != brands.end();
  };
  if (data.size() < 12) return {{}, {}, true};
  const std::string_view major = data.substr(8, 4);
  if (is_one_of(kAvif, major)) return {FileFormat::kAvif, {}, false};
  if (is_one_of(kHeic, major)) return {FileFormat::kHeic, {}, false};
  if (!is_one_of(kAnyCodec, major)) return {{}, kVideo, false};
  std::size_t box = 0;
  for (std::size_t i = 0; i < 4; ++i) box = box << 8 | static_cast<std::uint8_t>(data[i]);
  constexpr std::size_t kMostBox = 1024;
  const std::size_t end = std::min({box, data.size(), kMostBox});
  bool is_heic = false;
  for (std::size_t at = 16; at + 4 <= end; at += 4) {
    if (is_one_of(kAvif, data.substr(at, 4))) return {FileFormat::kAvif, {}, false};
    is_heic = is_heic || is_one_of(kHeic, data.substr(at, 4));
  }
  if (is_heic) return {FileFormat::kHeic, {}, false};
  if (data.size() < box && box <= kMostBox) return {{}, {}, true};
  return {{}, kOtherHeif, false};
}

/// Whether a TIFF file holds what a camera's sensor saw: it says that it is a DNG, or one of its pictures has a colour filter
/// array or is packed as only cameras do. The names of makers say nothing, for their programs write ordinary TIFF too.
class RawSearch {
 public:
  explicit RawSearch(ByteSpan file) noexcept : file_(file), is_big_endian_(file[0] == 'M') {}

  [[nodiscard]] bool finds_raw() noexcept {
    add(number(4, 4));
    for (std::size_t next = 0; next < count_; ++next) {
      if (is_raw(directories_[next])) return true;
    }
    return false;
  }

 private:
  static constexpr std::size_t kMostDirectories = 16;

  void add(std::uint64_t directory) noexcept {
    if (directory >= 8 && count_ < kMostDirectories) directories_[count_++] = directory;
  }

  /// 0 beyond the end.
  [[nodiscard]] std::uint32_t number(std::uint64_t at, std::size_t bytes) const noexcept {
    if (at + bytes > file_.size()) return 0;
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < bytes; ++i) value = value << 8 | file_[at + (is_big_endian_ ? i : bytes - 1 - i)];
    return value;
  }

  [[nodiscard]] bool is_raw(std::uint64_t directory) noexcept {
    const std::uint32_t entries = number(directory, 2);
    for (std::uint64_t at = directory + 2; at < directory + 2 + std::uint64_t{12} * entries && at + 12 <= file_.size();
         at += 12) {
      constexpr std::uint32_t kCompression = 259;
      constexpr std::uint32_t kPhotometric = 262;
      constexpr std::uint32_t kSubDirectories = 330;
      constexpr std::uint32_t kDngVersion = 50'706;
      constexpr std::uint32_t kShort = 3;
      const std::uint32_t tag = number(at, 2);
      const std::uint32_t values = number(at + 4, 4);
      const std::uint32_t value = number(at + 8, number(at + 2, 2) == kShort ? 2 : 4);
      if (tag == kDngVersion) return true;
      if (tag == kCompression && is_of_cameras(value)) return true;
      if (tag == kPhotometric && (value == 32'803 || value == 34'892)) return true;  // a filter array; DNG's linear pixels
      if (tag == kSubDirectories) {
        for (std::uint64_t i = 0; i < std::min<std::uint64_t>(values, kMostDirectories); ++i) {
          add(number(values == 1 ? at + 8 : std::uint64_t{value} + 4 * i, 4));
        }
      }
    }
    add(number(directory + 2 + std::uint64_t{12} * entries, 4));
    return false;
  }

  [[nodiscard]] static bool is_of_cameras(std::uint32_t compression) noexcept {
    constexpr std::array<std::uint32_t, 4> kOfCameras{32'767, 34'713, 65'000, 65'535};  // Sony, Nikon, Kodak, Pentax
    return std::find(kOfCameras.begin(), kOfCameras.end(), compression) != kOfCameras.end();
  }

  ByteSpan file_;
  bool is_big_endian_;
  std::array<std::uint64_t, kMostDirectories> directories_{};
  std::size_t count_ = 0;
};

}  // namespace

Signature signature_of(std::span<const std::uint8_t> data) noexcept {
  const std::string_view whole(reinterpret_cast<const char*>(data.data()), data.size());
  const std::string_view start = whole.substr(0, 16);
  for (const auto& [offset, bytes] : kRaws) {
    if (matches(start, offset, bytes)) return {FileFormat::kRaw, {}, false};
  }
  if (matches(start, 4, "ftyp")) return signature_of_brands(whole);
  if (is_pnm(start)) return {FileFormat::kPnm, {}, false};
  for (const Known& other : kOthers) {
    if (matches(start, other.offset, other.bytes)) return {{}, other.looks_like, false};
  }
  for (const auto& [format, bytes] : kOurs) {
    if (matches(start, 0, bytes)) {
      const bool has_directories = bytes == "II*\0"sv || bytes == "MM\0*"sv;
      return {has_directories && RawSearch(data).finds_raw() ? FileFormat::kRaw : format, {}, false};
    }
    if (!start.empty() && start.size() < bytes.size() && bytes.starts_with(start)) return {{}, {}, true};
  }
  if (matches(start, 0, "RIFF") && matches(start, 8, "WEBP")) return {FileFormat::kWebp, {}, false};
  const bool is_cut_webp = !start.empty() && start.size() < 12 && "RIFF"sv.starts_with(start.substr(0, 4)) &&
                           (start.size() <= 8 || "WEBP"sv.starts_with(start.substr(8)));
  const bool is_cut_pnm =
      start.size() <= 2 && !start.empty() && start[0] == 'P' && (start.size() == 1 || (start[1] >= '1' && start[1] <= '6'));
  return {{}, {}, is_cut_webp || is_cut_pnm};
}

}  // namespace retouchd::image
