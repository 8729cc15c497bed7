#pragma once

#include <opencv2/core/mat.hpp>

namespace retouchd::image {

/// Peak signal-to-noise ratio in dB over all pixels and channels, for full-range CV_8U or CV_16U pictures, or CV_32F from 0 to 1;
/// infinity when they are equal, NaN when size or type differ, or for other types.
[[nodiscard]] double psnr(const cv::Mat& a, const cv::Mat& b);

}  // namespace retouchd::image
