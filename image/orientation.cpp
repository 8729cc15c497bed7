#include "image/orientation.h"

#include <opencv2/core.hpp>

namespace retouchd::image {

// EXIF names where the stored first row and first column belong: 6 is "row 0 is the right side, column 0 the top".
cv::Mat upright(const cv::Mat& stored, int orientation) {
  if (stored.empty() || orientation < 2 || orientation > 8) return stored;
  cv::Mat turned;
  switch (orientation) {
    case 2:
      cv::flip(stored, turned, 1);
      break;
    case 3:
      cv::rotate(stored, turned, cv::ROTATE_180);
      break;
    case 4:
      cv::flip(stored, turned, 0);
      break;
    case 5:
      cv::transpose(stored, turned);
      break;
    case 6:
      cv::rotate(stored, turned, cv::ROTATE_90_CLOCKWISE);
      break;
    case 7:
      cv::transpose(stored, turned);
      cv::rotate(turned, turned, cv::ROTATE_180);
      break;
    default:
      cv::rotate(stored, turned, cv::ROTATE_90_COUNTERCLOCKWISE);
      break;
  }
  return turned;
}

}  // namespace retouchd::image
