#pragma once

#include <opencv2/core/mat.hpp>
#include <vector>

namespace retouchd::bench {

/// Chance that a member of the class has a higher value than another picture (ties count half); NaN when one side is empty.
[[nodiscard]] double area_under_curve(const std::vector<double>& values, const std::vector<bool>& is_member);

/// PSNR of a clean picture's brightness that was made `small` and enlarged again, against itself; at most 100.
[[nodiscard]] double true_loss_db(const cv::Mat& clean, cv::Size small);

}  // namespace retouchd::bench
