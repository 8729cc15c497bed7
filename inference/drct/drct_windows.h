#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <vector>

namespace retouchd::inference {

/// [N, H, W, C] -> [N * windows, w*w, C], windows from left to right and from top to bottom; the sides are multiples of w.
/// Copies.
[[nodiscard]] at::Tensor cut_windows(const at::Tensor& map, std::int64_t window);

/// The same into `windows` [N * windows, w*w, C], which need not be contiguous.
void cut_windows_into(const at::Tensor& windows, const at::Tensor& map, std::int64_t window);

/// The map [N, height, width, C] that was cut into these windows, contiguous. Copies.
[[nodiscard]] at::Tensor join_windows(const at::Tensor& windows, std::int64_t window, std::int64_t height, std::int64_t width);

/// Which seams of a rolled map cross a window: none, a vertical one in the last column of windows, a horizontal one in the last
/// row, both in the corner. Windows of one kind share one mask, so four masks serve maps of every size.
inline constexpr std::size_t kWindowKinds = 4;

/// [4, w*w, w*w] fp32: 0 where the windows' pixels i and j lie on the same sides of the seams, else -100.
[[nodiscard]] at::Tensor window_masks(std::int64_t window, std::int64_t shift);

/// Consecutive windows of one kind.
struct WindowRun {
  std::size_t kind = 0;
  std::int64_t begin = 0;
  std::int64_t end = 0;
};

/// The windows of maps rolled up and left by `shift`, sorted by kind.
struct ShiftedWindows {
  at::Tensor pixels;  ///< [windows, w*w] int64: where each pixel lies in what cut_windows() makes of the maps not rolled
  std::array<std::int64_t, kWindowKinds> ends{};  ///< where the windows of each kind end

  /// The windows [begin, end) by kind; counted from `begin`.
  [[nodiscard]] std::vector<WindowRun> runs(std::int64_t begin, std::int64_t end) const;
};

/// Does not wait for the device.
[[nodiscard]] ShiftedWindows shift_windows(std::int64_t batch, std::int64_t height, std::int64_t width, std::int64_t window,
                                           std::int64_t shift, const at::Device& device);

}  // namespace retouchd::inference
