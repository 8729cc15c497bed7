#pragma once

#include <opencv2/core/mat.hpp>

namespace retouchd::inference {

/// Writes `picture` times `scale` into the fp32 `plane`, which is at least as large, padding to the right and below by reflection
/// (by repeating the edge where there are too few pixels to reflect).
void fill_padded(const cv::Mat& picture, double scale, cv::Mat plane);

}  // namespace retouchd::inference
