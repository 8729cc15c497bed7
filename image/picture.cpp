#include "image/picture.h"

#include <opencv2/core.hpp>

#include "image/format_codec.h"

namespace retouchd::image {

std::string_view name_of(FileFormat format) noexcept {
  switch (format) {
    case FileFormat::kJpeg:
      return "jpeg";
    case FileFormat::kPng:
      return "png";
    case FileFormat::kTiff:
      return "tiff";
    case FileFormat::kWebp:
      return "webp";
    case FileFormat::kAvif:
      return "avif";
    case FileFormat::kHeic:
      return "heic";
    case FileFormat::kJxl:
      return "jxl";
    case FileFormat::kPnm:
      return "pnm";
    case FileFormat::kRaw:
      return "raw";
  }
  return "";
}

std::string_view suffix_of(FileFormat format) noexcept {
  switch (format) {
    case FileFormat::kJpeg:
      return ".jpg";
    case FileFormat::kPng:
      return ".png";
    case FileFormat::kTiff:
      return ".tif";
    case FileFormat::kWebp:
      return ".webp";
    case FileFormat::kAvif:
      return ".avif";
    case FileFormat::kHeic:
      return ".heic";
    case FileFormat::kJxl:
      return ".jxl";
    case FileFormat::kPnm:
      return ".ppm";
    case FileFormat::kRaw:
      return ".dng";
  }
  return "";
}

void split_alpha(const cv::Mat& interleaved, PlaneMemory& memory, cv::Mat& colour, cv::Mat& alpha) {
  const int colours = interleaved.channels() - 1;
  colour = memory.make(interleaved.size(), CV_MAKETYPE(interleaved.depth(), colours));
  alpha = memory.make(interleaved.size(), CV_MAKETYPE(interleaved.depth(), 1));
  const int three[] = {0, 0, 1, 1, 2, 2, 3, 3};
  const int one[] = {0, 0, 1, 1};
  cv::Mat planes[] = {colour, alpha};
  cv::mixChannels(&interleaved, 1, planes, 2, colours == 3 ? three : one, static_cast<std::size_t>(colours) + 1);
}

cv::Mat join_alpha(const cv::Mat& colour, const cv::Mat& alpha) {
  if (alpha.empty()) return colour;
  cv::Mat interleaved;
  cv::merge(std::vector<cv::Mat>{colour, alpha}, interleaved);
  return interleaved;
}

}  // namespace retouchd::image
