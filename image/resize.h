#pragma once

#include <opencv2/core/mat.hpp>

namespace retouchd::image {

/// The size of a copy of at most `megapixels`: aspect kept, each side at least one pixel, never larger than `size`.
[[nodiscard]] cv::Size size_within(cv::Size size, double megapixels);

/// `picture` scaled down by area averaging to at most `megapixels`, aspect kept, each side at least one pixel. Never enlarges:
/// a picture that is small enough is returned without a copy.
[[nodiscard]] cv::Mat shrink_to(const cv::Mat& picture, double megapixels);

}  // namespace retouchd::image
