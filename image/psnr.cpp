#include "image/psnr.h"

#include <cmath>
#include <limits>
#include <opencv2/core.hpp>

namespace retouchd::image {

double psnr(const cv::Mat& a, const cv::Mat& b) {
  if (a.empty() || a.size() != b.size() || a.type() != b.type() ||
      (a.depth() != CV_8U && a.depth() != CV_16U && a.depth() != CV_32F)) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  const double squared_error = cv::norm(a, b, cv::NORM_L2SQR);
  if (squared_error == 0.0) return std::numeric_limits<double>::infinity();
  const double peak = a.depth() == CV_8U ? 255.0 : a.depth() == CV_16U ? 65535.0 : 1.0;
  const double samples = static_cast<double>(a.total()) * a.channels();
  return 10.0 * std::log10(peak * peak * samples / squared_error);
}

}  // namespace retouchd::image
