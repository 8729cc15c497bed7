#include "inference/padding.h"

#include <opencv2/core.hpp>

namespace retouchd::inference {

void fill_padded(const cv::Mat& picture, double scale, cv::Mat plane) {
  const int right = plane.cols - picture.cols;
  const int below = plane.rows - picture.rows;
  if (right == 0 && below == 0) {
    picture.convertTo(plane, CV_32F, scale);
    return;
  }
  cv::Mat unit;
  picture.convertTo(unit, CV_32F, scale);
  cv::copyMakeBorder(unit, plane, 0, below, 0, right, cv::BORDER_REFLECT_101 | cv::BORDER_ISOLATED);
}

}  // namespace retouchd::inference
