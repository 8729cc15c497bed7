#pragma once

#include <opencv2/core/mat.hpp>
#include <string>

#include "image/picture.h"

namespace retouchd::image {

/// Brings floating point planes, as a file has them, to the 0..1 that is restored, in place. Where all of `colour` lies in 0..1
/// nothing changes and the range is {0, 1}; else it is {min(0, least), max(1, greatest)}: 0 stays the darkest value of an
/// ordinary picture, and so does 1 stay its white unless something is brighter. What is no number or infinite becomes the file's
/// 0, `alpha` (may be empty) is limited to 0..1; both are warnings. Threads: safe.
[[nodiscard]] ValueRange normalise_floats(cv::Mat& colour, cv::Mat& alpha, std::string& warnings);

/// The reverse for `count` samples: value * (high - low) + low.
void restore_range(const float* from, std::size_t count, ValueRange range, float* to) noexcept;

}  // namespace retouchd::image
