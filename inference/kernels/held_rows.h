#pragma once

#include "inference/kernels/launch.h"
#include "inference/kernels/tile_product.h"

// Norms of pixels whose rows a block holds in shared memory (tile_product.h). Eight threads have a row, its vectors in turns.
namespace retouchd::kernels {

inline constexpr int kRowThreads = 8;

/// A thread's part of a row of `channels` numbers, up to kDepth, in registers. Moments are found in two passes, in fp32.
template <typename T, int kDepth>
class RowPart {
 public:
  static constexpr int kVectors = (kDepth / 8 + kRowThreads - 1) / kRowThreads;

  RETOUCHD_KERNEL RowPart(const Thread& t, const Cell* row, int channels) : first_(t.index() % kRowThreads), channels_(channels) {
    RETOUCHD_UNROLL
    for (int i = 0; i < kVectors; ++i) {
      const Vector vector = is_there(i) ? load_vector(row + channel(i)) : Vector{};
      RETOUCHD_UNROLL
      for (int word = 0; word < 4; ++word) {
        const Pair pair = unpack<T>(vector.words[word]);
        values_[i][2 * word] = pair.first;
        values_[i][2 * word + 1] = pair.second;
      }
    }
  }

  /// To be called once.
  RETOUCHD_KERNEL void normalise(const Thread& t, Norm norm) {
    Pair sums{0, 0};
    RETOUCHD_UNROLL
    for (int i = 0; i < kVectors; ++i) {
      RETOUCHD_UNROLL
      for (int j = 0; j < 8; j += 2) sums = {sums.first + values_[i][j], sums.second + values_[i][j + 1]};
    }
    const float mean = total(t, sums) / static_cast<float>(channels_);
    Pair squares{0, 0};
    RETOUCHD_UNROLL
    for (int i = 0; i < kVectors; ++i) {
      if (!is_there(i)) continue;  // stays zeros
      RETOUCHD_UNROLL
      for (int j = 0; j < 8; ++j) values_[i][j] -= mean;
      RETOUCHD_UNROLL
      for (int j = 0; j < 8; j += 2) {
        squares = {squares.first + values_[i][j] * values_[i][j], squares.second + values_[i][j + 1] * values_[i][j + 1]};
      }
    }
    const float rstd = 1.0F / sqrtf(total(t, squares) / static_cast<float>(channels_) + 1e-5F);
    const float offset = norm == Norm::kCentred ? 0.0F : mean * rstd;
    RETOUCHD_UNROLL
    for (int i = 0; i < kVectors; ++i) {
      if (!is_there(i)) continue;
      RETOUCHD_UNROLL
      for (int j = 0; j < 8; ++j) values_[i][j] = values_[i][j] * rstd + offset;
    }
  }

  /// The largest magnitude of the whole row; NaN if there is one.
  [[nodiscard]] RETOUCHD_KERNEL float largest(const Thread& t) const {
    float largest = 0;
    RETOUCHD_UNROLL
    for (int i = 0; i < kVectors; ++i) {
      RETOUCHD_UNROLL
      for (int j = 0; j < 8; ++j) largest = larger(fabsf(values_[i][j]), largest);
    }
    RETOUCHD_UNROLL
    for (int mask = kRowThreads / 2; mask > 0; mask /= 2) largest = larger(t.exchange(largest, mask), largest);
    return largest;
  }

  /// work(first channel, eight values) for each of the thread's vectors below `end`; zeros where there is no channel.
  template <typename Work>
  RETOUCHD_KERNEL void for_each_vector(int end, const Work& work) const {
    RETOUCHD_UNROLL
    for (int i = 0; i < kVectors; ++i) {
      if (channel(i) < end) work(channel(i), values_[i]);
    }
  }

 private:
  [[nodiscard]] RETOUCHD_KERNEL int channel(int i) const { return 8 * (first_ + i * kRowThreads); }
  [[nodiscard]] RETOUCHD_KERNEL bool is_there(int i) const { return channel(i) < channels_; }

  static RETOUCHD_KERNEL float larger(float a, float b) { return a >= b || a != a ? a : b; }

  static RETOUCHD_KERNEL float total(const Thread& t, const Pair& parts) {
    float value = parts.first + parts.second;
    RETOUCHD_UNROLL
    for (int mask = kRowThreads / 2; mask > 0; mask /= 2) value += t.exchange(value, mask);
    return value;
  }

  float values_[kVectors][8];
  int first_;
  int channels_;
};

}  // namespace retouchd::kernels
