#pragma once

#include <opencv2/core/mat.hpp>

namespace retouchd::image {

/// Peak signal-to-noise ratio in dB over all pixels and channels, for full-range 8-bit or 16-bit pictures; infinity when they are
/// equal, NaN when size or type differ (or are neither 8-bit nor 16-bit).
[[nodiscard]] double psnr(const cv::Mat& a, const cv::Mat& b);

}  // namespace retouchd::image
