#pragma once

#include <cstdint>
#include <type_traits>

#include "inference/kernels/gelu.h"
#include "inference/kernels/halo_tile.h"
#include "inference/kernels/launch.h"

// The gated feed-forward on chip, the fourth step of the ladder: reads the map once (its border twice) and writes it once, 2 * C
// numbers a pixel, where the operations one by one move about 25 * C (models with hidden = 2.66 C).
//
// A block has one tile of 8x16 pixels. It keeps the normalised tile and its border in shared memory and goes through the hidden
// channels in chunks of 32: expand (tensor cores) -> both halves of the chunk in shared memory -> depthwise and gate -> shared
// memory -> contract (tensor cores) into sums that stay in registers. The border costs the expansion 192 / 128 of its products,
// padding included. Weights of the next chunk are copied while the present one is worked on; all blocks read the same, so they
// come from the L2 cache.
//
// Not measured. By the count of instructions the depthwise convolution and the gate (fp32, no tensor cores) bound it on an H200,
// then shared memory's bandwidth (mma.sync reads its operands through registers; wgmma would not).
namespace retouchd::kernels {

/// `kBytes`: the expansion multiplies signed bytes.
template <typename T, int kChannels, bool kBytes>
struct FeedForwardKernel {
  struct Arguments {
    Map map;
    int hidden;
    Norm norm;
    const T* in;
    const T* expand;
    const float* expand_scale;
    const float* bias;
    const T* depthwise;
    const T* contract;
    T* out;
  };

  static constexpr int kThreads = 256;
  static constexpr int kHeight = 8;
  static constexpr int kWidth = 16;
  using Tile = HaloTile<T, kChannels, kHeight, kWidth, kThreads>;

  static constexpr int kHidden = 32;  // of a chunk
  static constexpr int kPixels = kHeight * kWidth;
  static constexpr int kChunkPitch = pitch_for(2 * kHidden);
  static constexpr int kGatedPitch = pitch_for(kHidden);

  // Shared memory, in numbers.
  static constexpr int kTileSize = Tile::kPadded * Tile::kPitch;
  static constexpr int kChunkSize = Tile::kPadded * kChunkPitch;
  static constexpr int kGatedSize = kPixels * kGatedPitch;
  static constexpr int kDepth = kBytes ? Tile::kBytesDepth / 2 : kChannels;  // of the expansion, in units of sizeof(T)
  static constexpr int kExpandSize = 2 * kHidden * pitch_for(kDepth);
  static constexpr int kContractSize = kChannels * kGatedPitch;
  static constexpr int kTapsSize = 9 * 2 * kHidden;
  static constexpr std::size_t kShared =
      sizeof(T) * (kTileSize + kChunkSize + kGatedSize + kExpandSize + kContractSize + kTapsSize) +
      (kBytes ? sizeof(float) * Tile::kPadded : 0);
  static constexpr int kBlocksPerMultiprocessor = kChannels <= 96 ? 2 : 1;

  // The result is put together in fp32 where tile and chunk were.
  static constexpr int kResultPitch = kChannels + 4;
  static_assert(sizeof(float) * kPixels * kResultPitch <= sizeof(T) * (kTileSize + kChunkSize));

  // The warps share the contraction kDown x kAcross; 48 channels do not divide into two halves of whole pairs of fragments.
  static constexpr int kWarpRows = kChannels % 32 == 0 ? 4 : 8;
  static constexpr int kWarpColumns = kThreads / kWarp / kWarpRows;
  static constexpr int kDown = kPixels / 16 / kWarpRows;
  static constexpr int kAcross = kChannels / 8 / kWarpColumns;
  static_assert(kAcross % 2 == 0 && kDown * kWarpRows * 16 == kPixels);

  using Sums = float[kDown][kAcross][4];

  static RETOUCHD_KERNEL void run(const Thread& t, const Arguments& a) {
    T* const tile = reinterpret_cast<T*>(t.shared());
    T* const chunk = tile + kTileSize;
    T* const gated = chunk + kChunkSize;
    T* const expand = gated + kGatedSize;
    T* const contract = expand + kExpandSize;
    T* const taps = contract + kContractSize;
    auto* const scales = reinterpret_cast<float*>(taps + kTapsSize);  // bytes only
    const TilePlace place = tile_place<kHeight, kWidth>(a.map, t.block_y(), t.block_x());

    Tile::load(t, tile, a.in, a.map, place);
    copy_expansion(t, a, 0, expand);
    copy_contraction(t, a, 0, contract, taps);
    t.close_copies();
    t.wait_for_copies<0>();
    t.sync();
    if constexpr (kBytes) {
      Tile::to_bytes(t, tile, a.norm, scales);
    } else {
      Tile::normalise(t, tile, a.norm);
    }
    t.sync();

    Sums sums = {};
    for (int first = 0; first < a.hidden; first += kHidden) {
      const auto result_of = [&](auto sum, int pixel, int channel) {
        const int row = row_of(a, first, channel);
        const float bias = a.bias == nullptr ? 0.0F : a.bias[row];
        if constexpr (kBytes) {
          return static_cast<float>(sum) * (scales[pixel] * a.expand_scale[row]) + bias;
        } else {
          return sum + bias;
        }
      };
      using Sum = std::conditional_t<kBytes, std::int32_t, float>;
      Tile::template expand<2 * kHidden, Sum, kDepth>(t, tile, expand, result_of, a.map, place, chunk);
      t.wait_for_copies<0>();  // contraction and taps of this chunk
      t.sync();
      if (first + kHidden < a.hidden) copy_expansion(t, a, first + kHidden, expand);
      t.close_copies();
      gate(t, chunk, taps, gated);
      t.sync();
      accumulate(t, gated, contract, sums);
      t.wait_for_copies<0>();  // the next expansion
      t.sync();
      if (first + kHidden < a.hidden) copy_contraction(t, a, first + kHidden, contract, taps);
      t.close_copies();
    }
    store(t, a, place, sums, reinterpret_cast<float*>(tile));
  }

 private:
  /// Of the whole expansion, the row that is row `row` of the chunk from `first` on: one half of the gate behind the other.
  static RETOUCHD_KERNEL int row_of(const Arguments& a, int first, int row) {
    return row < kHidden ? first + row : a.hidden + first + row - kHidden;
  }

  static RETOUCHD_KERNEL void copy_expansion(const Thread& t, const Arguments& a, int first, T* expand) {
    copy_rows<T, 2 * kHidden, kDepth, kThreads>(t, expand, pitch_for(kDepth), [&](int row) {
      return a.expand + static_cast<std::int64_t>(row_of(a, first, row)) * kDepth;
    });
  }

  static RETOUCHD_KERNEL void copy_contraction(const Thread& t, const Arguments& a, int first, T* contract, T* taps) {
    copy_rows<T, kChannels, kHidden, kThreads>(
        t, contract, kGatedPitch, [&](int row) { return a.contract + static_cast<std::int64_t>(row) * a.hidden + first; });
    copy_rows<T, 18, kHidden, kThreads>(t, taps, kHidden, [&](int row) {
      return a.depthwise + static_cast<std::int64_t>(row / 2) * 2 * a.hidden + row % 2 * a.hidden + first;
    });
  }

  /// Depthwise convolution of both halves of the chunk, and gelu(first) * second, for two channels of one column a thread. Lanes
  /// 16 to 31 work four columns beside lanes 0 to 15: their words are 16 banks apart, in the chunk as in what is gated.
  static RETOUCHD_KERNEL void gate(const Thread& t, const T* chunk, const T* taps, T* gated) {
    static_assert(kThreads / kWarp == 8 && kWidth == 16 && kHidden == 32);
    const int channel = 2 * (t.lane() % 16);
    const int column = t.warp() % 4 + t.warp() / 4 * 8 + t.lane() / 16 * 4;
    // One half after the other, so that the weights of one at a time are in registers.
    Pair gates[kHeight];
    convolve(chunk, taps, channel, column, [&](int y, Pair value) { gates[y] = {gelu(value.first), gelu(value.second)}; });
    convolve(chunk, taps, kHidden + channel, column, [&](int y, Pair value) {
      *reinterpret_cast<std::uint32_t*>(gated + (y * kWidth + column) * kGatedPitch + channel) =
          pack<T>(gates[y].first * value.first, gates[y].second * value.second);
    });
  }

  /// Calls `use(y, value)` for each row of the tile.
  template <typename Use>
  static RETOUCHD_KERNEL void convolve(const T* chunk, const T* taps, int channel, int column, const Use& use) {
    const PairTaps mine = load_taps(taps + channel, 2 * kHidden);
    ColumnSums sums;
    RETOUCHD_UNROLL
    for (int y = 0; y < Tile::kRows; ++y) {
      sums.add(chunk + (y * Tile::kColumns + column) * kChunkPitch + channel, kChunkPitch, mine);
      if (y >= 2) use(y - 2, sums.rows[0]);
    }
  }

  static RETOUCHD_KERNEL void accumulate(const Thread& t, const T* gated, const T* contract, Sums& sums) {
    RETOUCHD_UNROLL
    for (int depth = 0; depth < kHidden; depth += 16) {
      std::uint32_t a[kDown][4];
      RETOUCHD_UNROLL
      for (int i = 0; i < kDown; ++i) load_a(t, a[i], gated, kGatedPitch, first_pixel(t) + 16 * i, depth);
      RETOUCHD_UNROLL
      for (int j = 0; j < kAcross; j += 2) {
        std::uint32_t b[4];
        load_b(t, b, contract, kGatedPitch, first_channel(t) + 8 * j, depth);
        RETOUCHD_UNROLL
        for (int i = 0; i < kDown; ++i) {
          multiply<T>(t, sums[i][j], a[i], b[0], b[1]);
          multiply<T>(t, sums[i][j + 1], a[i], b[2], b[3]);
        }
      }
    }
  }

  /// Adds the block's input, rounds once, and writes 16 bytes a thread and step.
  static RETOUCHD_KERNEL void store(const Thread& t, const Arguments& a, const TilePlace& place, const Sums& sums,
                                    float* result) {
    const int row = t.lane() / 4;
    const int column = 2 * (t.lane() % 4);
    RETOUCHD_UNROLL
    for (int i = 0; i < kDown; ++i) {
      RETOUCHD_UNROLL
      for (int j = 0; j < kAcross; ++j) {
        RETOUCHD_UNROLL
        for (int half = 0; half < 2; ++half) {
          float* const to =
              result + (first_pixel(t) + 16 * i + 8 * half + row) * kResultPitch + first_channel(t) + 8 * j + column;
          to[0] = sums[i][j][2 * half];
          to[1] = sums[i][j][2 * half + 1];
        }
      }
    }
    t.sync();
    constexpr int kVectors = kChannels / 8;
    for (int i = t.index(); i < kPixels * kVectors; i += kThreads) {
      const int pixel = i / kVectors;
      const int channel = i % kVectors * 8;
      const int y = place.top + pixel / kWidth;
      const int x = place.left + pixel % kWidth;
      if (y >= a.map.height || x >= a.map.width) continue;
      const std::int64_t at =
          ((static_cast<std::int64_t>(place.picture) * a.map.height + y) * a.map.width + x) * kChannels + channel;
      const float* const more = result + pixel * kResultPitch + channel;
      Vector vector = load_vector(a.in + at);
      RETOUCHD_UNROLL
      for (int j = 0; j < 4; ++j) {
        const Pair pair = unpack<T>(vector.words[j]);
        vector.words[j] = pack<T>(pair.first + more[2 * j], pair.second + more[2 * j + 1]);
      }
      store_vector(a.out + at, vector);
    }
  }

  static RETOUCHD_KERNEL int first_pixel(const Thread& t) { return t.warp() % kWarpRows * kDown * 16; }
  static RETOUCHD_KERNEL int first_channel(const Thread& t) { return t.warp() / kWarpRows * kAcross * 8; }
};

template <typename T, int kChannels, bool kBytes, typename Launcher>
Outcome launch_feed_forward(const FeedForwardCall& call, const Launcher& launcher) {
  using Kernel = FeedForwardKernel<T, kChannels, kBytes>;
  if (launcher.shared_memory() < Kernel::kShared) return "feed_forward: the device has too little shared memory";
  return launcher.template run<Kernel>(
      tiles_in<Kernel::kHeight, Kernel::kWidth>(call.map), call.map.pictures,
      {call.map, call.hidden, call.norm, static_cast<const T*>(call.in), static_cast<const T*>(call.expand), call.expand_scale,
       call.bias, static_cast<const T*>(call.depthwise), static_cast<const T*>(call.contract), static_cast<T*>(call.out)});
}

template <typename T, bool kBytes, typename Launcher>
Outcome choose_feed_forward(const FeedForwardCall& call, const Launcher& launcher) {
  switch (call.channels) {
    case 48:
      return launch_feed_forward<T, 48, kBytes>(call, launcher);
    case 96:
      return launch_feed_forward<T, 96, kBytes>(call, launcher);
    case 192:
      return launch_feed_forward<T, 192, kBytes>(call, launcher);
    default:
      return "feed_forward: there is no kernel for this number of channels";
  }
}

/// Bytes of shared memory that a block takes; 0: there is no kernel for so many channels.
constexpr std::size_t feed_forward_shared(int channels) {
  return channels == 48    ? FeedForwardKernel<Half, 48, false>::kShared
         : channels == 96  ? FeedForwardKernel<Half, 96, false>::kShared
         : channels == 192 ? FeedForwardKernel<Half, 192, false>::kShared
                           : 0;
}

template <typename Launcher>
Outcome dispatch_feed_forward(const FeedForwardCall& call, const Launcher& launcher) {
  if (call.in == nullptr || call.expand == nullptr || call.depthwise == nullptr || call.contract == nullptr ||
      call.out == nullptr)
    return "feed_forward: a tensor is missing";
  if (call.in == call.out) return "feed_forward: the output may not be the input";
  if (call.hidden < 32 || call.hidden % 32 != 0) return "feed_forward: hidden is no multiple of 32";
  if (call.map.pictures < 1 || call.map.height < 1 || call.map.width < 1) return "feed_forward: the map is empty";
  if (call.map.pictures > 65535) return "feed_forward: more than 65535 pictures";
  if (call.expand_scale != nullptr) {
    if (call.number == Number::kHalf) return "feed_forward: bytes go with bf16";
    return choose_feed_forward<Bfloat16, true>(call, launcher);
  }
  return call.number == Number::kHalf ? choose_feed_forward<Half, false>(call, launcher)
                                      : choose_feed_forward<Bfloat16, false>(call, launcher);
}

}  // namespace retouchd::kernels
