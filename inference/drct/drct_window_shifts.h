#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>

#include "inference/drct/drct_windows.h"

namespace retouchd::inference {

/// shift_windows() of a network, remembered: a daemon asks for its few shapes of tiles over and over, and on a GPU each of a
/// dozen small steps costs a launch.
///
/// What is remembered stays where it is for as long as this lives, beside the network's weights, so that a captured CUDA graph
/// may point at it. Hence nothing is thrown out: once `most_pixels` are remembered, further shapes are computed on the device
/// each time, by operations that can be captured. What is remembered was computed on the CPU and copied before of() returned, so
/// every stream may read it. Such a copy waits and cannot be captured: the first forward of a shape, which anyway is when
/// libraries below LibTorch choose their kernels, comes before a capture.
///
/// Threads: safe.
class WindowShifts {
 public:
  /// 8 bytes each: 32 MiB. Batches of 1, 2, 4, 8 and 16 tiles of 256 x 256 take half of it.
  static constexpr std::int64_t kMostPixels = std::int64_t{4} << 20U;

  WindowShifts(std::int64_t window, std::int64_t shift, at::Device device, std::int64_t most_pixels = kMostPixels)
      : window_(window), shift_(shift), device_(device), most_pixels_(most_pixels) {}

  /// For `batch` maps of `height` x `width`, on the constructor's device.
  [[nodiscard]] ShiftedWindows of(std::int64_t batch, std::int64_t height, std::int64_t width) const;

  [[nodiscard]] std::int64_t remembered_pixels() const;

 private:
  using Shape = std::array<std::int64_t, 3>;

  const std::int64_t window_;
  const std::int64_t shift_;
  const at::Device device_;
  const std::int64_t most_pixels_;
  mutable std::mutex mutex_;                       // guards both below
  mutable std::map<Shape, ShiftedWindows> known_;  ///< by batch, height and width; only ever grows
  mutable std::int64_t pixels_ = 0;                ///< of all of known_
};

}  // namespace retouchd::inference
