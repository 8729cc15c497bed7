#include "stages/memory_estimate.h"

#include <opencv2/core.hpp>

#include "stages/canvas.h"

namespace retouchd::stages {
namespace {

/// libwebp holds the picture as ARGB and as YUV with its analysis; the largest of our encoders.
constexpr std::uint64_t kEncoderBytesPerPixel = 8;

/// EXIF, XMP and ICC with exiv2's copies, and small change.
constexpr Bytes kPerPicture = mebibytes(4);

}  // namespace

Bytes estimate_memory(const image::PictureHeader& header, Bytes file, const inference::NetworkInfo& network) {
  Bytes planes = header.decoded_bytes();
  if (network.companion == inference::Companion::kRightView) planes += planes;
  const std::uint64_t pixels = static_cast<std::uint64_t>(header.width) * header.height;
  if (network.companion == inference::Companion::kDepth) planes += Bytes{pixels * 2 * sizeof(std::uint16_t)};  // and the result
  const int colours = header.channels >= 3 ? 3 : 1;
  const int type = CV_MAKETYPE(header.bits == 16 ? CV_16U : CV_8U, colours);
  const auto scale_area = static_cast<std::uint64_t>(network.scale) * static_cast<std::uint64_t>(network.scale);

  Bytes decode = file + planes + planes;
  if (header.progressive) decode += Bytes{pixels * static_cast<std::uint64_t>(colours) * sizeof(std::int16_t)};
  const Bytes canvas = Canvas::memory_for(cv::Size(static_cast<int>(header.width), static_cast<int>(header.height)), type,
                                          network.scale, !network.receptive_field);
  const Bytes infer = planes + canvas;
  const Bytes restored{planes.value * scale_area};
  const Bytes encode = restored + restored + Bytes{pixels * scale_area * kEncoderBytesPerPixel};
  return std::max({decode, infer, encode}) + kPerPicture;
}

}  // namespace retouchd::stages
