#pragma once

#include <cstdint>
#include <memory>
#include <opencv2/core/mat.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/units.h"

namespace retouchd::image {

enum class FileFormat {
  kJpeg,
  kPng,
  kTiff,
  kWebp,
  kAvif,
  kHeic,  ///< read only
  kJxl,
  kPnm,
  kRaw,  ///< of cameras (DNG, CR2, NEF, ARW, ...); read only
};

[[nodiscard]] std::string_view name_of(
    FileFormat format) noexcept;  ///< "jpeg", "png", "tiff", "webp", "avif", "heic", "jxl", "pnm", "raw"
[[nodiscard]] std::string_view suffix_of(
    FileFormat format) noexcept;  ///< ".jpg", ".png", ".tif", ".webp", ".avif", ".heic", ".jxl", ".ppm", ".dng"
[[nodiscard]] constexpr bool is_writable(FileFormat format) noexcept {
  return format != FileFormat::kHeic && format != FileFormat::kRaw;
}

/// EXIF, XMP, IPTC, ICC and comments of one file, as read. Opaque outside image/ (metadata.cpp knows exiv2).
class Metadata;

/// What the pixels of a floating point picture were in its file: `low` is 0 in memory, `high` is 1.
struct ValueRange {
  float low = 0.0F;
  float high = 1.0F;
};

/// The colours that the planes in memory are in.
enum class WorkingSpace {
  kFile,          ///< the file's own: whatever its ICC profile says
  kExtendedSrgb,  ///< CV_32F sRGB whose values pass below 0 and above 1 where the file's gamut does
};

/// What was done to a picture, for its XMP: property name -> text. Names are those of docs/formats.md.
using Provenance = std::vector<std::pair<std::string, std::string>>;

/// One decoded picture, upright (EXIF orientation is already applied to the pixels).
///
/// Owner: one stage at a time; move it. Between `tile` and `merge` it is read by several threads and written by none. Planes may
/// be memory shared with the process that decoded them; they are never written in place.
struct Picture {
  cv::Mat colour;  ///< CV_8U, CV_16U or CV_32F with 1 or 3 channels; three are in R, G, B order; full range, floats 0..1 (range)
  cv::Mat alpha;   ///< empty, or one channel of the same size and depth; straight (not premultiplied)
  FileFormat format = FileFormat::kJpeg;     ///< of the file it came from
  ValueRange range;                          ///< of CV_32F planes
  WorkingSpace space = WorkingSpace::kFile;  ///< kExtendedSrgb: encode() goes back to the file's space and to file_bits
  int file_bits = 8;                         ///< a channel in the file, rounded up to 8, 16 or 32
  std::shared_ptr<const Metadata> metadata;  ///< may be null: nothing was there, or it could not be read
  int orientation = 1;                       ///< EXIF 1..8 of the stored pixels, already applied
  std::string metadata_warning;              ///< what was lost or changed while reading, else empty
  Provenance provenance;                     ///< to be written; empty: none
  std::vector<Picture> pages;                ///< the further pages of a TIFF, when all of them were asked for

  [[nodiscard]] int width() const noexcept { return colour.cols; }
  [[nodiscard]] int height() const noexcept { return colour.rows; }
  [[nodiscard]] bool is_gray() const noexcept { return colour.channels() == 1; }
  [[nodiscard]] bool is_16_bit() const noexcept { return colour.depth() == CV_16U; }
  [[nodiscard]] bool is_float() const noexcept { return colour.depth() == CV_32F; }
};

/// What the header alone says; nothing of the pixels was touched.
struct PictureHeader {
  FileFormat format = FileFormat::kJpeg;
  std::uint32_t width = 0;  ///< as stored, before orientation
  std::uint32_t height = 0;
  int channels = 3;          ///< 1 gray, 3 colour, +1 when there is alpha
  int bits = 8;              ///< per channel in memory: 8, 16 or 32 (float)
  int orientation = 1;       ///< EXIF 1..8 of a JPEG, for those who pass its bytes on; 1 for other formats
  bool progressive = false;  ///< progressive JPEG: the decoder holds all coefficients
  int frames = 1;            ///< pages of a TIFF, pictures of an animation
  Bytes working;             ///< what the decoder holds at its worst moment besides the planes and the file
  Bytes more_pages;          ///< planes of the further pages, when they were asked for

  [[nodiscard]] double megapixels() const noexcept { return static_cast<double>(width) * height / 1e6; }
  /// Memory of the decoded planes of all pages.
  [[nodiscard]] Bytes decoded_bytes() const noexcept {
    return Bytes{static_cast<std::uint64_t>(width) * height * static_cast<std::uint64_t>(channels) *
                 (static_cast<unsigned>(bits) / 8U)} +
           more_pages;
  }
};

}  // namespace retouchd::image
