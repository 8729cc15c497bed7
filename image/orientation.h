#pragma once

#include <opencv2/core/mat.hpp>

namespace retouchd::image {

/// The upright version of `stored`, whose EXIF orientation is 1..8 (anything else counts as 1). 1 returns the same pixels without
/// a copy; 5..8 swap width and height.
[[nodiscard]] cv::Mat upright(const cv::Mat& stored, int orientation);

[[nodiscard]] constexpr bool swaps_sides(int orientation) noexcept { return orientation >= 5 && orientation <= 8; }

}  // namespace retouchd::image
