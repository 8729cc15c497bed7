#include "image/thumbnail.h"

#include <algorithm>
#include <cmath>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>

#include "image/colour.h"
#include "image/format_codec.h"

namespace retouchd::image {
namespace {

constexpr int kQuality = 80;

cv::Mat shrunk(const cv::Mat& colour, int longest_side) {
  const int longest = std::max(colour.cols, colour.rows);
  if (longest <= longest_side) return colour.clone();
  const double scale = static_cast<double>(longest_side) / longest;
  const auto side = [scale](int of) { return std::max(1, static_cast<int>(std::lround(of * scale))); };
  cv::Mat small;
  cv::resize(colour, small, {side(colour.cols), side(colour.rows)}, 0, 0, cv::INTER_AREA);
  return small;
}

}  // namespace

ByteVector make_thumbnail(const Picture& picture, int longest_side) {
  Picture small;
  small.colour = shrunk(picture.colour, longest_side);
  small.metadata = picture.metadata;
  small.space = picture.space;
  if (small.metadata && !small.metadata->icc.empty() && small.space == WorkingSpace::kFile) {
    HeapPlanes memory;
    to_extended_srgb(small, memory);
  }
  constexpr double kMost8 = 255.0;
  const double scale = small.is_float() ? kMost8 : small.is_16_bit() ? kMost8 / 65'535.0 : 1.0;
  cv::Mat bytes;
  small.colour.convertTo(bytes, CV_8U, scale);  // clamps
  small = {};
  small.colour = bytes;
  EncodeOptions options;
  options.jpeg_quality = kQuality;
  MemoryFile file;
  std::string warnings;
  if (!encode_jpeg(small, options, {}, file, warnings)) return {};
  return file.take();
}

int longest_side_of_jpeg(ByteSpan file) noexcept {
  for (std::size_t at = 2; at + 9 <= file.size() && file[at] == 0xFF;) {
    const int marker = file[at + 1];
    const bool is_frame = marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
    const auto number = [&](std::size_t from) { return file[from] << 8 | file[from + 1]; };
    if (is_frame) return std::max(number(at + 5), number(at + 7));
    at += 2 + static_cast<std::size_t>(number(at + 2));
  }
  return 0;
}

}  // namespace retouchd::image
