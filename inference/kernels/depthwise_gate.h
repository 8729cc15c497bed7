#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include "inference/kernels/gelu.h"
#include "inference/kernels/half_vector.h"
#include "inference/kernels/launch.h"
#include "inference/kernels/simt.h"

// DepthwiseGate: step 1 of the ladder. Reads 4 * hidden bytes a pixel and writes 2 * hidden; a convolution, an activation and a
// product each on its own move 18 * hidden.
//
// A block owns a strip of the picture, 16 columns wide and 64 channels of each half deep (fewer channels: more columns), and
// walks down its rows. Rows come into a ring in shared memory, three ahead of the one in use: 13.5 KiB a block are under way
// whatever the threads do. The device's memory is read once, but for what strips share: 18 columns for 16, and two rows more than
// a walk has; neighbours run at about the same time, so that most of that should come from the L2 cache.
//
//               x-1  x  x+1 x+2        A thread has columns x and x + 1, channels 4n .. 4n + 3 of either half. Row y of the
//     row y      o  [o   o]  o         input completes row y - 1 of the result by its lower taps, and goes into the sums of
//                                      row y by the middle ones, of row y + 1 by the upper ones.
//
// So a number is widened twice, not nine times; taps (72), bias (8) and the sums of two rows (32) stay in registers. All in fp32:
// sums of 16-bit products would have to be widened in turn, which costs what they save.
//
// Shared memory: 25.5 KiB, three blocks a multiprocessor. Free of bank conflicts where a strip's vectors are even, but for 2: the
// lanes of half a warp read pieces of 16 * vectors bytes that lie one behind the other modulo 128.
//
// Expected to be bound by memory, and nearly as much by instructions: a thread executes about 390 for eight results with GELU and
// 285 without (counted in sm_90 code of the walk). Not measured.
namespace retouchd::kernels {

/// What DepthwiseGateKernel works on and how its blocks share it.
template <typename T>
struct DepthwiseGateArguments {
  const T* in;
  const T* weight;
  const float* bias;  ///< or none
  T* out;
  int height;
  int width;
  int hidden;
  int vectors;   ///< of 8 channels, of each half, in one strip; up to 8
  int chunks;    ///< strips beside each other over the channels
  int rows;      ///< a block walks down
  int segments;  ///< blocks below each other in one picture
};

/// `kVectors`: those of the arguments, or 0 where they are known only there.
template <typename T, Gate kGate, int kVectors>
struct DepthwiseGateKernel {
  using Arguments = DepthwiseGateArguments<T>;

  static constexpr int kThreads = 128;
  static constexpr int kBlocksPerMultiprocessor = 3;
  static constexpr int kMaxVectors = 8;
  static constexpr int kColumns = 2;   ///< of a thread
  static constexpr int kChannels = 4;  ///< of a thread, in each half
  static constexpr int kSlots = 4;     ///< rows in the ring
  static constexpr int kAhead = kSlots - 1;

  /// Pairs of columns in a strip: 2 * vectors threads have four channels each.
  static RETOUCHD_ANYWHERE constexpr int pairs_for(int vectors) { return kThreads / (2 * vectors); }
  /// Bytes from one column to the next in shared memory. The second of two columns ends 16 * vectors after a multiple of 128
  /// where vectors are even, so that one pair's pieces continue the other's; not for 2, where that would cost too much.
  static RETOUCHD_ANYWHERE constexpr int pitch_of(int vectors) {
    return 16 * vectors + (vectors % 2 == 0 && vectors > 2 ? 64 - 8 * vectors : 0);
  }
  static constexpr int largest_half() {
    int largest = 0;
    for (int vectors = 1; vectors <= kMaxVectors; ++vectors) {
      const int bytes = (kColumns * pairs_for(vectors) + 2) * pitch_of(vectors);
      largest = bytes > largest ? bytes : largest;
    }
    return largest;
  }
  static constexpr int kHalfBytes = largest_half();  ///< from the strip's first channels to those of the second half
  static constexpr int kSlotBytes = 2 * kHalfBytes;
  static constexpr std::size_t kShared = static_cast<std::size_t>(kSlots * kSlotBytes);

  static RETOUCHD_KERNEL void run(const Thread& t, const Arguments& a) {
    const Place place(t, a);
    const int first_row = t.block_y() % a.segments * a.rows;
    const int end = first_row + a.rows < a.height ? first_row + a.rows : a.height;
    const int count = end - first_row + 2;  // rows read: one above, one below

    Fetcher fetcher(t, a, place, first_row - 1);
    RETOUCHD_UNROLL
    for (int step = 0; step < kAhead; ++step) fetcher.fetch(t, a, step, count);

    Taps taps;
    if (place.works) taps.load(a, place.channel);
    float middle[2][kColumns][kChannels];  // sums of the row in use, by half and column
    float next[2][kColumns][kChannels];    // of the one below
    RETOUCHD_UNROLL
    for (int half = 0; half < 2; ++half) {
      RETOUCHD_UNROLL
      for (int column = 0; column < kColumns; ++column) {
        RETOUCHD_UNROLL
        for (int i = 0; i < kChannels; ++i) middle[half][column][i] = next[half][column][i] = taps.bias[half][i];
      }
    }

    const int pitch = pitch_of(vectors_of(a));
    const std::byte* const strip = t.shared() + kColumns * place.pair * pitch + 8 * place.lane;
    T* out = a.out;
    if (place.works) out += (row_index(a, place.picture, first_row) * a.width + place.column) * a.hidden + place.channel;
    const bool second_column = place.column + 1 < a.width;

    for (int step = 0; step < count; ++step) {
      t.template wait_for_copies<kAhead - 1>();
      t.sync();  // the row is there for all, and all are done with the one before, whose place the next one takes
      fetcher.fetch(t, a, step + kAhead, count);
      if (!place.works) continue;

      float complete[2][kColumns][kChannels];
      RETOUCHD_UNROLL
      for (int half = 0; half < 2; ++half) {
        float in[kColumns + 2][kChannels];
        RETOUCHD_UNROLL
        for (int column = 0; column < kColumns + 2; ++column)
          load_four<T>(in[column], strip + step % kSlots * kSlotBytes + half * kHalfBytes + column * pitch);
        RETOUCHD_UNROLL
        for (int column = 0; column < kColumns; ++column) {
          RETOUCHD_UNROLL
          for (int i = 0; i < kChannels; ++i) {
            const auto add_row = [&](int row, float sum) {
              sum += taps.weight[3 * row][half][i] * in[column][i];
              sum += taps.weight[3 * row + 1][half][i] * in[column + 1][i];
              return sum + taps.weight[3 * row + 2][half][i] * in[column + 2][i];
            };
            complete[half][column][i] = add_row(2, middle[half][column][i]);
            middle[half][column][i] = add_row(1, next[half][column][i]);
            next[half][column][i] = add_row(0, taps.bias[half][i]);
          }
        }
      }
      if (step < 2) continue;
      store_gated(out, complete[0][0], complete[1][0]);
      if (second_column) store_gated(out + a.hidden, complete[0][1], complete[1][1]);
      out += static_cast<std::int64_t>(a.width) * a.hidden;
    }
  }

 private:
  static RETOUCHD_KERNEL int vectors_of(const Arguments& a) { return kVectors == 0 ? a.vectors : kVectors; }

  /// The thread's part of the block's strip.
  struct Place {
    RETOUCHD_KERNEL Place(const Thread& t, const Arguments& a)
        : picture(t.block_y() / a.segments),
          pair(t.index() / (2 * vectors_of(a))),
          lane(t.index() % (2 * vectors_of(a))),
          first_vector(t.block_x() % a.chunks * vectors_of(a)),
          first_column(t.block_x() / a.chunks * kColumns * pairs_for(vectors_of(a))),
          column(first_column + kColumns * pair),
          channel(8 * first_vector + kChannels * lane),
          is_in_strip(pair < pairs_for(vectors_of(a))),
          works(is_in_strip && channel < a.hidden && column < a.width) {}

    int picture;
    int pair;
    int lane;          ///< of the threads that share the pair of columns
    int first_vector;  ///< of the strip, as its first column
    int first_column;
    int column;   ///< of the picture, the first of the thread's
    int channel;  ///< the first of the thread's, of the first half
    bool is_in_strip;
    bool works;
  };

  /// Brings rows into the ring. A thread copies one vector of every pairs_for()-th column.
  class Fetcher {
   public:
    RETOUCHD_KERNEL Fetcher(const Thread& t, const Arguments& a, const Place& place, int row)
        : row_(row),
          wanted_(0),
          stride_(pairs_for(vectors_of(a))),
          from_(a.in),
          to_(t.shared() + place.lane / vectors_of(a) * kHalfBytes + place.pair * pitch_of(vectors_of(a)) +
              place.lane % vectors_of(a) * 16) {
      const int half = place.lane / vectors_of(a);
      const int channel = 8 * (place.first_vector + place.lane % vectors_of(a));
      if (!place.is_in_strip || channel >= a.hidden) return;
      const int column = place.first_column - 1 + place.pair;
      from_ += (row_index(a, place.picture, row) * a.width + column) * 2 * a.hidden + half * a.hidden + channel;
      RETOUCHD_UNROLL
      for (int round = 0; round < kRounds; ++round) {
        if (place.pair + round * stride_ >= kColumns * stride_ + 2) continue;
        const int of_round = column + round * stride_;
        if (of_round >= 0 && of_round < a.width) {
          wanted_ |= 1 << round;
          continue;
        }
        // Outside the picture: zeros that stay.
        RETOUCHD_UNROLL
        for (int slot = 0; slot < kSlots; ++slot)
          store_vector(to_ + slot * kSlotBytes + round * stride_ * pitch_of(vectors_of(a)), Vector{});
      }
    }

    /// Begins to copy the strip's row `step`, if there is one, and closes the group in any case. To be called for 0, 1, 2, ...
    RETOUCHD_KERNEL void fetch(const Thread& t, const Arguments& a, int step, int count) {
      if (step < count) {
        const bool is_in_picture = row_ >= 0 && row_ < a.height;
        std::byte* const to = to_ + step % kSlots * kSlotBytes;
        RETOUCHD_UNROLL
        for (int round = 0; round < kRounds; ++round) {
          if ((wanted_ & 1 << round) == 0) continue;
          const T* const from = is_in_picture ? from_ + round * stride_ * 2 * a.hidden : a.in;
          t.copy(to + round * stride_ * pitch_of(vectors_of(a)), from, is_in_picture);
        }
        ++row_;
        from_ += static_cast<std::int64_t>(a.width) * 2 * a.hidden;
      }
      t.close_copies();
    }

   private:
    /// Columns are kColumns * pairs + 2, pairs at least 8.
    static constexpr int kRounds = kColumns + 1;

    int row_;
    int wanted_;  ///< bits: rounds whose column is in the strip and in the picture
    int stride_;  ///< columns from round to round
    const T* from_;
    std::byte* to_;
  };

  struct Taps {
    float weight[9][2][kChannels];
    float bias[2][kChannels] = {};

    RETOUCHD_KERNEL void load(const Arguments& a, int channel) {
      RETOUCHD_UNROLL
      for (int half = 0; half < 2; ++half) {
        const int first = half * a.hidden + channel;
        RETOUCHD_UNROLL
        for (int tap = 0; tap < 9; ++tap) load_four<T>(weight[tap][half], a.weight + 2 * tap * a.hidden + first);
        if (a.bias == nullptr) continue;
        RETOUCHD_UNROLL
        for (int i = 0; i < kChannels; ++i) bias[half][i] = a.bias[first + i];
      }
    }
  };

  static RETOUCHD_KERNEL std::int64_t row_index(const Arguments& a, int picture, int row) {
    return static_cast<std::int64_t>(picture) * a.height + row;
  }

  static RETOUCHD_KERNEL void store_gated(T* to, const float (&first)[kChannels], const float (&second)[kChannels]) {
    float gated[kChannels];
    RETOUCHD_UNROLL
    for (int i = 0; i < kChannels; ++i) gated[i] = (kGate == Gate::kGelu ? gelu(first[i]) : first[i]) * second[i];
    store_four(to, gated);
  }
};

namespace detail {

/// Blocks that keep a large device busy without a short last wave.
inline constexpr std::int64_t kDepthwiseGateBlocks = 2048;

constexpr int parts_of(int whole, int part) { return (whole - 1) / part + 1; }

template <typename Kernel, typename T, typename Launcher>
Outcome run_depthwise_gate(const DepthwiseGateCall& call, int vectors, const Launcher& launcher) {
  const int chunks = parts_of(call.hidden / 8, vectors);
  const std::int64_t strips =
      static_cast<std::int64_t>(chunks) * parts_of(call.map.width, Kernel::kColumns * Kernel::pairs_for(vectors));
  int rows = 64;
  while (rows > 8 && strips * call.map.pictures * parts_of(call.map.height, rows) < kDepthwiseGateBlocks) rows /= 2;
  const int segments = parts_of(call.map.height, rows);
  if (strips > std::numeric_limits<int>::max() || static_cast<std::int64_t>(segments) * call.map.pictures > 65535)
    return "depthwise_gate: more blocks than a grid holds";
  return launcher.template run<Kernel>(
      static_cast<int>(strips), segments * call.map.pictures,
      {static_cast<const T*>(call.in), static_cast<const T*>(call.weight), call.bias, static_cast<T*>(call.out), call.map.height,
       call.map.width, call.hidden, vectors, chunks, rows, segments});
}

template <typename T, Gate kGate, typename Launcher>
Outcome run_depthwise_gate(const DepthwiseGateCall& call, const Launcher& launcher) {
  using Any = DepthwiseGateKernel<T, kGate, 0>;
  using Whole = DepthwiseGateKernel<T, kGate, Any::kMaxVectors>;
  // Chunks of about the same size: 17 vectors are 6 + 6 + 5.
  const int vectors = parts_of(call.hidden / 8, parts_of(call.hidden / 8, Any::kMaxVectors));
  return vectors == Any::kMaxVectors ? run_depthwise_gate<Whole, T>(call, vectors, launcher)
                                     : run_depthwise_gate<Any, T>(call, vectors, launcher);
}

template <typename T, typename Launcher>
Outcome run_depthwise_gate(const DepthwiseGateCall& call, const Launcher& launcher) {
  return call.gate == Gate::kGelu ? run_depthwise_gate<T, Gate::kGelu>(call, launcher)
                                  : run_depthwise_gate<T, Gate::kProduct>(call, launcher);
}

}  // namespace detail

/// Any `hidden` that is a multiple of 8; `out` must not be `in`.
template <typename Launcher>
Outcome dispatch_depthwise_gate(const DepthwiseGateCall& call, const Launcher& launcher) {
  if (call.in == nullptr || call.weight == nullptr || call.out == nullptr) return "depthwise_gate: a pointer is missing";
  if (call.in == call.out) return "depthwise_gate: the result would overwrite what neighbours still read";
  if (call.map.pictures < 1 || call.map.height < 1 || call.map.width < 1) return "depthwise_gate: the map is empty";
  if (call.hidden < 8 || call.hidden % 8 != 0) return "depthwise_gate: hidden is not a multiple of 8";
  return call.number == Number::kHalf ? detail::run_depthwise_gate<Half>(call, launcher)
                                      : detail::run_depthwise_gate<Bfloat16>(call, launcher);
}

}  // namespace retouchd::kernels
