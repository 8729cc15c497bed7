#pragma once

#include <cstdint>
#include <memory>
#include <opencv2/core/mat.hpp>
#include <string>
#include <string_view>

#include "base/units.h"

namespace retouchd::image {

enum class FileFormat { kJpeg, kPng, kTiff, kWebp };

[[nodiscard]] std::string_view name_of(FileFormat format) noexcept;    ///< "jpeg", "png", "tiff", "webp"
[[nodiscard]] std::string_view suffix_of(FileFormat format) noexcept;  ///< ".jpg", ".png", ".tif", ".webp"

/// EXIF, XMP, IPTC and ICC of one file, as read. Opaque outside image/ (metadata.cpp knows exiv2).
class Metadata;

/// One decoded picture, upright (EXIF orientation is already applied to the pixels).
///
/// Owner: one stage at a time; move it. Between `tile` and `merge` it is read by several threads and written by none.
struct Picture {
  cv::Mat colour;  ///< CV_8UC1, CV_8UC3, CV_16UC1 or CV_16UC3; three channels are in R, G, B order; full range
  cv::Mat alpha;   ///< empty, or CV_8UC1 / CV_16UC1 of the same size and depth; straight (not premultiplied)
  FileFormat format = FileFormat::kJpeg;     ///< of the file it came from
  std::shared_ptr<const Metadata> metadata;  ///< may be null: nothing was there, or it could not be read
  std::string metadata_warning;              ///< why metadata could not be read, else empty

  [[nodiscard]] int width() const noexcept { return colour.cols; }
  [[nodiscard]] int height() const noexcept { return colour.rows; }
  [[nodiscard]] bool is_gray() const noexcept { return colour.channels() == 1; }
  [[nodiscard]] bool is_16_bit() const noexcept { return colour.depth() == CV_16U; }
};

/// What the header alone says; nothing of the pixels was touched.
struct PictureHeader {
  FileFormat format = FileFormat::kJpeg;
  std::uint32_t width = 0;  ///< as stored, before orientation
  std::uint32_t height = 0;
  int channels = 3;          ///< 1 gray, 3 colour, +1 when there is alpha
  int bits = 8;              ///< per channel in memory: 8 or 16
  bool progressive = false;  ///< progressive JPEG: the decoder holds all coefficients

  [[nodiscard]] double megapixels() const noexcept { return static_cast<double>(width) * height / 1e6; }
  /// Memory of the decoded planes.
  [[nodiscard]] Bytes decoded_bytes() const noexcept {
    return {static_cast<std::uint64_t>(width) * height * static_cast<std::uint64_t>(channels) * (bits / 8U)};
  }
};

}  // namespace retouchd::image
