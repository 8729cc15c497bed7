#include "image/resize.h"

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>

namespace retouchd::image {

cv::Size size_within(cv::Size size, double megapixels) {
  const double pixels = static_cast<double>(size.width) * size.height;
  const double wanted = megapixels * 1e6;
  if (pixels <= wanted) return size;
  const double factor = std::sqrt(wanted / pixels);
  // Rounded down, so that the result never exceeds the wanted area; a very long picture may, by its one-pixel side.
  return {std::max(1, static_cast<int>(size.width * factor)), std::max(1, static_cast<int>(size.height * factor))};
}

cv::Mat shrink_to(const cv::Mat& picture, double megapixels) {
  const cv::Size size = size_within(picture.size(), megapixels);
  if (picture.empty() || size == picture.size()) return picture;
  cv::Mat small;
  cv::resize(picture, small, size, 0, 0, cv::INTER_AREA);
  return small;
}

}  // namespace retouchd::image
