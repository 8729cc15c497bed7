#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "inference/kernels/half_vector.h"
#include "inference/kernels/launch.h"
#include "inference/kernels/simt.h"

// Mixing: what lies between the two passes over the pixels of channel attention (step 3 of the ladder). Two small kernels:
//
//   AttentionKernel  adds the slots' sums of four rows of one head, in a fixed order, and makes them rows of the attention map:
//                    softmax_j(temperature * gram_ij / (|q_i| |k_j|)). They go where the sums of slot 0 were, which nobody else
//                    reads: so the sums are used up by a call.
//   ProjectKernel    16 rows of project * blockdiag(attention) for the channels of one head.
//
// Traffic: the sums once, the squares of k once per four rows, channels^2 numbers written; nothing depends on the pixels but the
// number of slots. fp32 throughout; the result is rounded once.
//
// Expected to be bound by latency: two launches, and in the first a chain of slots / 8 (heads of 48 channels) or slots / 4 (96)
// loads, eight of them under way at once. Not measured.
namespace retouchd::kernels {

/// Four numbers of 32 bits. Moved by one instruction.
struct alignas(16) FourFloats {
  float values[4];
};

RETOUCHD_KERNEL FourFloats load_floats(const float* from) {
#if !defined(__CUDACC__)
  check_alignment(from, alignof(FourFloats));
#endif
  return *reinterpret_cast<const FourFloats*>(from);
}

struct AttentionArguments {
  float* gram;           ///< [pictures][slots][heads][c][c]
  const float* squares;  ///< [pictures][slots][2 * heads * c]
  const float* temperature;
  int slots;
  int heads;
};

/// `kChannels` of a head, c. Blocks: heads * c / 4, pictures.
template <int kChannels>
struct AttentionKernel {
  using Arguments = AttentionArguments;

  static constexpr int kThreads = 512;
  static constexpr int kBlocksPerMultiprocessor = 2;
  static constexpr int kRows = 4;  ///< of a block; their squares are one vector
  /// Vectors of four: the rows, the squares of k, those of q. Each group of so many threads adds up every kGroups-th slot.
  static constexpr int kSquaresOfK = kRows * kChannels / 4;
  static constexpr int kSquaresOfQ = kSquaresOfK + kChannels / 4;
  static constexpr int kVectors = kSquaresOfQ + 1;
  static constexpr int kGroups = kThreads / kVectors;
  static constexpr int kUnderWay = 8;
  static constexpr std::size_t kShared = sizeof(FourFloats) * kGroups * kVectors;

  static RETOUCHD_KERNEL void run(const Thread& t, const Arguments& a) {
    constexpr int kBlocksOfHead = kChannels / kRows;
    const int head = t.block_x() / kBlocksOfHead;
    const int first_row = t.block_x() % kBlocksOfHead * kRows;
    const int channels = a.heads * kChannels;
    const std::int64_t first_slot = static_cast<std::int64_t>(t.block_y()) * a.slots;
    const std::int64_t gram_stride = static_cast<std::int64_t>(channels) * kChannels;
    float* const gram = a.gram + first_slot * gram_stride + (head * kChannels + first_row) * kChannels;
    const float* const squares = a.squares + first_slot * 2 * channels + head * kChannels;
    auto* const sums = reinterpret_cast<FourFloats*>(t.shared());

    const int group = t.index() / kVectors;
    const int vector = t.index() % kVectors;
    if (group < kGroups) {
      if (vector < kSquaresOfK) {
        sums[t.index()] = sum_of_slots(gram + 4 * vector, gram_stride, group, a.slots);
      } else {
        const int at = vector < kSquaresOfQ ? channels + 4 * (vector - kSquaresOfK) : first_row;
        sums[t.index()] = sum_of_slots(squares + at, 2 * static_cast<std::int64_t>(channels), group, a.slots);
      }
    }
    t.sync();
    if (group == 0) {
      FourFloats sum = sums[vector];
      RETOUCHD_UNROLL
      for (int other = 1; other < kGroups; ++other) add(sum, sums[other * kVectors + vector]);
      sums[vector] = sum;
    }
    t.sync();
    if (t.warp() < kRows) attend(t, gram + t.warp() * kChannels, reinterpret_cast<const float*>(sums), a.temperature[head]);
  }

 private:
  static RETOUCHD_KERNEL void add(FourFloats& sum, const FourFloats& more) {
    RETOUCHD_UNROLL
    for (int i = 0; i < 4; ++i) sum.values[i] += more.values[i];
  }

  static RETOUCHD_KERNEL FourFloats sum_of_slots(const float* from, std::int64_t stride, int first, int slots) {
    FourFloats sum{};
    for (int slot = first; slot < slots; slot += kUnderWay * kGroups) {
      FourFloats parts[kUnderWay];
      RETOUCHD_UNROLL
      for (int i = 0; i < kUnderWay; ++i) {
        const int of_part = slot + i * kGroups;
        parts[i] = of_part < slots ? load_floats(from + of_part * stride) : FourFloats{};
      }
      RETOUCHD_UNROLL
      for (int i = 0; i < kUnderWay; ++i) add(sum, parts[i]);
    }
    return sum;
  }

  /// One row by one warp.
  static RETOUCHD_KERNEL void attend(const Thread& t, float* to, const float* sums, float temperature) {
    constexpr int kOfLane = (kChannels + kWarp - 1) / kWarp;
    const float* const row = sums + t.warp() * kChannels;
    const float scale = temperature / length(sums[4 * kSquaresOfQ + t.warp()]);
    float logits[kOfLane];
    float largest = -3.4e38F;
    RETOUCHD_UNROLL
    for (int i = 0; i < kOfLane; ++i) {
      const int j = t.lane() + i * kWarp;
      if (j >= kChannels) continue;
      logits[i] = row[j] * scale / length(sums[4 * kSquaresOfK + j]);
      largest = std::fmax(largest, logits[i]);
    }
    RETOUCHD_UNROLL
    for (int mask = kWarp / 2; mask > 0; mask /= 2) largest = std::fmax(largest, t.exchange(largest, mask));
    float sum = 0;
    RETOUCHD_UNROLL
    for (int i = 0; i < kOfLane; ++i) {
      if (t.lane() + i * kWarp >= kChannels) continue;
      logits[i] = std::exp(logits[i] - largest);
      sum += logits[i];
    }
    sum = sum_of_warp(t, sum);  // at least 1: that of the largest
    RETOUCHD_UNROLL
    for (int i = 0; i < kOfLane; ++i) {
      if (t.lane() + i * kWarp < kChannels) to[t.lane() + i * kWarp] = logits[i] / sum;
    }
  }

  static RETOUCHD_KERNEL float length(float square) { return std::fmax(std::sqrt(square), 1e-12F); }
};

template <typename T>
struct ProjectArguments {
  const float* attention;  ///< [pictures][slots][heads][c][c], that in slot 0
  const float* project;    ///< [heads * c][heads * c]
  T* mixing;               ///< [pictures][heads * c][heads * c]
  int slots;
  int heads;
};

/// Blocks: heads * rows of the result / 16, pictures. Shared memory: one head's attention and the rows of `project` that meet it,
/// 12 or 42 KiB.
template <typename T, int kChannels>
struct ProjectKernel {
  using Arguments = ProjectArguments<T>;

  static constexpr int kThreads = 192;
  static constexpr int kBlocksPerMultiprocessor = 2;
  static constexpr int kRows = 16;                                   ///< of a block
  static constexpr int kVectors = kChannels / 4;                     ///< a row
  static constexpr int kRowsOfThread = kRows * kVectors / kThreads;  ///< 1 or 2
  static constexpr int kRowStep = kRows / kRowsOfThread;
  static constexpr std::size_t kShared = sizeof(FourFloats) * (kChannels + kRows) * kVectors;
  static_assert(kRowsOfThread * kThreads == kRows * kVectors);

  static RETOUCHD_KERNEL void run(const Thread& t, const Arguments& a) {
    const int channels = a.heads * kChannels;
    const int head = t.block_x() % a.heads;
    const int first_row = t.block_x() / a.heads * kRows;
    auto* const attention = reinterpret_cast<float*>(t.shared());
    float* const project = attention + kChannels * kChannels;
    const float* const from =
        a.attention + (static_cast<std::int64_t>(t.block_y()) * a.slots * a.heads + head) * kChannels * kChannels;
    for (int i = t.index(); i < kChannels * kVectors; i += kThreads) t.copy(attention + 4 * i, from + 4 * i, true);
    RETOUCHD_UNROLL
    for (int i = 0; i < kRowsOfThread; ++i) {
      const int row = (t.index() + i * kThreads) / kVectors;
      const int vector = (t.index() + i * kThreads) % kVectors;
      t.copy(project + row * kChannels + 4 * vector, a.project + (first_row + row) * channels + head * kChannels + 4 * vector,
             true);
    }
    t.close_copies();
    t.template wait_for_copies<0>();
    t.sync();

    const int row = t.index() / kVectors;  // and those kRowStep further
    const int column = t.index() % kVectors * 4;
    float sums[kRowsOfThread][4] = {};
    for (int k = 0; k < kChannels; k += 4) {
      FourFloats left[kRowsOfThread];
      RETOUCHD_UNROLL
      for (int i = 0; i < kRowsOfThread; ++i) left[i] = load_floats(project + (row + i * kRowStep) * kChannels + k);
      RETOUCHD_UNROLL
      for (int part = 0; part < 4; ++part) {
        const FourFloats right = load_floats(attention + (k + part) * kChannels + column);
        RETOUCHD_UNROLL
        for (int i = 0; i < kRowsOfThread; ++i) {
          RETOUCHD_UNROLL
          for (int j = 0; j < 4; ++j) sums[i][j] += left[i].values[part] * right.values[j];
        }
      }
    }
    T* const to =
        a.mixing + (static_cast<std::int64_t>(t.block_y()) * channels + first_row + row) * channels + head * kChannels + column;
    RETOUCHD_UNROLL
    for (int i = 0; i < kRowsOfThread; ++i) store_four(to + i * kRowStep * channels, sums[i]);
  }
};

namespace detail {

template <typename T, int kChannels, typename Launcher>
Outcome run_mixing(const MixingCall& call, const Launcher& launcher) {
  using Attention = AttentionKernel<kChannels>;
  using Project = ProjectKernel<T, kChannels>;
  const Outcome outcome =
      launcher.template run<Attention>(call.channels / Attention::kRows, call.pictures,
                                       {call.sums.gram, call.sums.squares, call.temperature, call.sums.slots, call.heads});
  if (outcome != nullptr) return outcome;
  return launcher.template run<Project>(
      call.heads * call.channels / Project::kRows, call.pictures,
      {call.sums.gram, call.project, static_cast<T*>(call.mixing), call.sums.slots, call.heads});
}

template <typename T, typename Launcher>
Outcome run_mixing(const MixingCall& call, const Launcher& launcher) {
  return call.channels == 48 * call.heads ? run_mixing<T, 48>(call, launcher) : run_mixing<T, 96>(call, launcher);
}

}  // namespace detail

/// Any number of heads of 48 or of 96 channels. The sums are used up.
template <typename Launcher>
Outcome dispatch_mixing(const MixingCall& call, const Launcher& launcher) {
  if (call.sums.gram == nullptr || call.sums.squares == nullptr || call.temperature == nullptr || call.project == nullptr ||
      call.mixing == nullptr)
    return "mixing: a pointer is missing";
  if (call.pictures < 1 || call.pictures > 65535) return "mixing: pictures are not 1 to 65535";
  if (call.sums.slots < 1) return "mixing: there are no sums";
  if (call.heads < 1 || (call.channels != 48 * call.heads && call.channels != 96 * call.heads))
    return "mixing: heads do not have 48 or 96 channels";
  return call.number == Number::kHalf ? detail::run_mixing<Half>(call, launcher) : detail::run_mixing<Bfloat16>(call, launcher);
}

}  // namespace retouchd::kernels
