#pragma once

#include <opencv2/core/hal/interface.h>

namespace retouchd::inference {

/// What stands for 1 in pixels of an OpenCV depth: CV_8U, CV_16U or CV_32F.
[[nodiscard]] constexpr double full_scale(int depth) noexcept { return depth == CV_8U ? 255.0 : depth == CV_16U ? 65535.0 : 1.0; }

}  // namespace retouchd::inference
