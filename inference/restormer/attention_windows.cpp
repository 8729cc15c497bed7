#include "inference/restormer/attention_windows.h"

#include <algorithm>

namespace retouchd::inference {
namespace {

/// Where the windows begin along one axis.
std::vector<std::int64_t> starts(std::int64_t length, std::int64_t side) {
  const std::int64_t last = length - side;
  const std::int64_t strides = (length + side - 1) / side - 1;
  std::vector<std::int64_t> begins{0};
  if (strides == 0) return begins;
  const std::int64_t stride = (last + strides - 1) / strides;
  while (begins.back() < last) begins.push_back(std::min(begins.back() + stride, last));
  return begins;
}

}  // namespace

std::vector<AttentionWindow> attention_windows(std::int64_t height, std::int64_t width, std::optional<std::int64_t> side) {
  const std::int64_t rows = std::min(height, side.value_or(height));
  const std::int64_t columns = std::min(width, side.value_or(width));
  std::vector<AttentionWindow> windows;
  for (const std::int64_t top : starts(height, rows)) {
    for (const std::int64_t left : starts(width, columns)) windows.push_back({top, left, rows, columns});
  }
  return windows;
}

}  // namespace retouchd::inference
