#pragma once

#include <cstddef>
#include <cstdint>

#include "inference/kernels/half_vector.h"
#include "inference/kernels/launch.h"
#include "inference/kernels/simt.h"

// Norms of pixels whose rows a block holds in shared memory, and what is made of them there. A few threads share a row, its
// vectors in turns.
namespace retouchd::kernels {

/// A thread's part of a row of `channels` numbers, up to kDepth, in registers, which kRowThreads neighbouring threads share.
/// Moments are found in two passes, in fp32.
template <typename T, int kDepth, int kRowThreads>
class RowPart {
 public:
  static constexpr int kVectors = (kDepth / 8 + kRowThreads - 1) / kRowThreads;

  /// `row`: of T.
  RETOUCHD_KERNEL RowPart(const Thread& t, const void* row, int channels) : first_(t.index() % kRowThreads), channels_(channels) {
    RETOUCHD_UNROLL
    for (int i = 0; i < kVectors; ++i) {
      const Vector vector = is_there(i) ? load_vector(static_cast<const T*>(row) + channel(i)) : Vector{};
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

  /// Puts the numbers where they came from.
  RETOUCHD_KERNEL void store(void* row) const {
    for_each_vector(channels_, [&](int channel, const float(&values)[8]) {
      Vector vector;
      RETOUCHD_UNROLL
      for (int word = 0; word < 4; ++word) vector.words[word] = pack<T>(values[2 * word], values[2 * word + 1]);
      store_vector(static_cast<T*>(row) + channel, vector);
    });
  }

  /// Makes signed bytes of the row: round(value / scale), scale = largest / 127. They take its first `padded` bytes, zeros behind
  /// the channels. Returns the scale, in each of the row's threads. All threads of the warp call this.
  RETOUCHD_KERNEL float store_bytes(const Thread& t, void* row, int padded) const {
    const float most = largest(t);
    const float factor = most > 0 ? 127.0F / most : 0.0F;
    t.sync_warp();  // the bytes go where other threads read numbers
    for_each_vector(padded, [&](int channel, const float(&values)[8]) {
      HalfVector bytes{};
      RETOUCHD_UNROLL
      for (int i = 0; i < 8; ++i) {
        const auto byte = static_cast<std::uint32_t>(static_cast<std::int32_t>(rintf(values[i] * factor))) & 0xffU;
        bytes.words[i / 4] |= byte << (8 * static_cast<unsigned>(i % 4));
      }
      store_half_vector(static_cast<std::byte*>(row) + channel, bytes);
    });
    return most / 127.0F;
  }

  /// Of the row's threads the one that says for all of them what store_bytes() returned.
  [[nodiscard]] RETOUCHD_KERNEL bool is_first() const { return first_ == 0; }

 private:
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
