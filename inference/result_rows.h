#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <opencv2/core/mat.hpp>

#include "inference/device.h"

namespace retouchd::inference {

/// Turns rows of fp32 numbers into pixels, and gathers Values on the way. Confined to one thread.
class ResultRows {
 public:
  /// `factor` brings the numbers to [0, 1]; `depth` is Window::depth.
  ResultRows(float factor, int depth);

  /// Writes `count` numbers to `to`, which has that depth.
  void convert(const float* from, std::size_t count, uchar* to);

  /// Of all rows so far. NaN is found whatever the compiler assumes about it (the bits are looked at), and counts for nothing
  /// else.
  [[nodiscard]] Values values() const;

  static constexpr std::size_t kLanes = 16;
  struct Lanes {
    std::array<float, kLanes> least{};
    std::array<float, kLanes> most{};
    std::array<std::uint32_t, kLanes> not_finite{};  ///< the uppermost bit says so
  };

 private:
  Lanes lanes_;
  float factor_;
  int depth_;
};

}  // namespace retouchd::inference
