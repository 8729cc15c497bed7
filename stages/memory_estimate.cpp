#include "stages/memory_estimate.h"

#include <algorithm>
#include <opencv2/core.hpp>

#include "stages/canvas.h"

namespace retouchd::stages {
namespace {

using image::FileFormat;

/// What an encoder of ours holds for each pixel besides the planes, rounded up from peaks of 6 MP with noise at the qualities
/// that are set by default: 13.4 WebP, 18 AVIF, 51 JPEG XL (8 and 16 bits). Those that write row by row hold next to nothing.
std::uint64_t encoder_bytes_per_pixel(FileFormat format) noexcept {
  switch (format) {
    case FileFormat::kWebp:
      return 15;
    case FileFormat::kAvif:
      return 24;
    case FileFormat::kJxl:
      return 60;
    case FileFormat::kJpeg:
    case FileFormat::kHeic:  // becomes JPEG
    case FileFormat::kPng:
    case FileFormat::kTiff:
    case FileFormat::kPnm:
    case FileFormat::kRaw:  // becomes TIFF
      break;
  }
  return 0;
}

/// EXIF, XMP and ICC with exiv2's copies, rows, strips and small change.
constexpr Bytes kPerPicture = mebibytes(4);

int depth_of(const image::PictureHeader& header) noexcept {
  return header.bits == 32 ? CV_32F : header.bits == 16 ? CV_16U : CV_8U;
}

}  // namespace

Bytes estimate_memory(const image::PictureHeader& header, const inference::NetworkInfo& network,
                      std::optional<FileFormat> output) {
  const std::uint64_t pixels = static_cast<std::uint64_t>(header.width) * header.height;
  const auto scale_area = static_cast<std::uint64_t>(network.scale) * static_cast<std::uint64_t>(network.scale);
  const int colours = header.channels >= 3 ? 3 : 1;
  const int type = CV_MAKETYPE(depth_of(header), colours);
  const bool is_feathered = !network.receptive_field;
  const Bytes decoded = header.decoded_bytes();
  Bytes planes = decoded;
  if (network.companion == inference::Companion::kRightView) planes += decoded;
  if (network.companion == inference::Companion::kDepth) planes += Bytes{pixels * 2 * sizeof(std::uint16_t)};  // and the result

  const Bytes in_file_colours = network.wants_srgb ? decoded : Bytes{0};
  const Bytes decode = planes + in_file_colours + std::max(header.working, decoded);

  Bytes canvas = Canvas::memory_for(cv::Size(static_cast<int>(header.width), static_cast<int>(header.height)), type,
                                    network.scale, is_feathered);
  const std::uint64_t sums = is_feathered ? sizeof(float) * header.more_pages.value / CV_ELEM_SIZE1(type) : 0;
  canvas += Bytes{(header.more_pages.value + sums) * scale_area};
  const bool has_alpha = header.channels == 2 || header.channels == 4;
  const Bytes filled{has_alpha ? pixels * CV_ELEM_SIZE(type) : 0};
  const Bytes infer = planes + filled + canvas;

  const Bytes restored{planes.value * scale_area};
  const FileFormat format = output.value_or(header.format);
  const Bytes encoder{pixels * scale_area * encoder_bytes_per_pixel(format)};
  const Bytes encode = restored + restored + Bytes{in_file_colours.value * scale_area} + encoder;
  return std::max({decode, infer, encode}) + kPerPicture;
}

}  // namespace retouchd::stages
