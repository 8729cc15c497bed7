#include "image/resize.h"

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>

namespace retouchd::image {

cv::Mat shrink_to(const cv::Mat& picture, double megapixels) {
  const double pixels = static_cast<double>(picture.cols) * picture.rows;
  const double wanted = megapixels * 1e6;
  if (picture.empty() || pixels <= wanted) return picture;
  const double factor = std::sqrt(wanted / pixels);
  // Rounded down, so that the result never exceeds the wanted area; a very long picture may, by its one-pixel side.
  const int width = std::max(1, static_cast<int>(picture.cols * factor));
  const int height = std::max(1, static_cast<int>(picture.rows * factor));
  cv::Mat small;
  cv::resize(picture, small, {width, height}, 0, 0, cv::INTER_AREA);
  return small;
}

}  // namespace retouchd::image
