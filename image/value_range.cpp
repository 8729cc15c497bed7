#include "image/value_range.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <opencv2/core.hpp>

#include "image/metadata.h"

namespace retouchd::image {
namespace {

std::size_t row_length(const cv::Mat& plane) {
  return static_cast<std::size_t>(plane.cols) * static_cast<std::size_t>(plane.channels());
}

/// How many samples were no finite numbers; they are 0 afterwards.
std::uint64_t clear_non_finite(cv::Mat& plane) {
  std::uint64_t cleared = 0;
  for (int y = 0; y < plane.rows; ++y) {
    auto* row = plane.ptr<float>(y);
    for (std::size_t i = 0; i < row_length(plane); ++i) {
      if (std::isfinite(row[i])) continue;
      row[i] = 0.0F;
      ++cleared;
    }
  }
  return cleared;
}

ValueRange range_of(const cv::Mat& plane) {
  ValueRange range;
  for (int y = 0; y < plane.rows; ++y) {
    const auto* row = plane.ptr<float>(y);
    const auto [least, greatest] = std::minmax_element(row, row + row_length(plane));
    range.low = std::min(range.low, *least);
    range.high = std::max(range.high, *greatest);
  }
  return range;
}

}  // namespace

ValueRange normalise_floats(cv::Mat& colour, cv::Mat& alpha, std::string& warnings) {
  const std::uint64_t cleared = clear_non_finite(colour) + (alpha.empty() ? 0 : clear_non_finite(alpha));
  if (cleared > 0) add_warning(warnings, fmt::format("{} samples were no finite numbers and became 0", cleared));
  if (!alpha.empty()) {
    const ValueRange opacity = range_of(alpha);
    if (opacity.low < 0.0F || opacity.high > 1.0F) {
      cv::min(alpha, 1.0, alpha);
      cv::max(alpha, 0.0, alpha);
      add_warning(warnings, "transparency beyond 0..1 was limited to it");
    }
  }
  const ValueRange range = range_of(colour);
  if (range.low == 0.0F && range.high == 1.0F) return range;
  const double low = range.low;  // double: the difference of two floats may be no float
  const double width = static_cast<double>(range.high) - low;
  for (int y = 0; y < colour.rows; ++y) {
    auto* row = colour.ptr<float>(y);
    for (std::size_t i = 0; i < row_length(colour); ++i) row[i] = static_cast<float>((row[i] - low) / width);
  }
  return range;
}

void restore_range(const float* from, std::size_t count, ValueRange range, float* to) noexcept {
  const double low = range.low;
  const double width = static_cast<double>(range.high) - low;
  for (std::size_t i = 0; i < count; ++i) to[i] = static_cast<float>(from[i] * width + low);
}

}  // namespace retouchd::image
