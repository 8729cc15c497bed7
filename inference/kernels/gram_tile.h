#pragma once

#include "inference/kernels/halo_tile.h"

namespace retouchd::kernels {

/// What the kernels in front of channel attention share: the depthwise convolution of a tile for one head of `kHeadChannels`
/// channels, and the sums over pixels of q_i k_j, q_i^2 and k_j^2 that a block keeps in registers while it walks over its tiles.
///
/// A thread has two neighbouring channels, the same for q, k and v, of a rectangle of two columns and kRowsEach rows: each number
/// of the input is read two thirds as often as by a thread of one column. The products are tensor cores', with q and k as
/// [pixel][channel] in shared memory: q transposed times k, the depth being pixels. A warp has kDown x kAcross fragments of the
/// Gram matrix; kGroups groups of warps share the pixels and are added up at the end, in their order.
///
/// The threads are kThreadCount ones of a block, from the warp kFirstWarp on.
template <typename T, int kHeadChannels, int kTileHeight, int kTileWidth, int kThreadCount, int kFirstWarp = 0>
struct GramTile {
  static constexpr int kChannels = kHeadChannels;
  static constexpr int kHeight = kTileHeight;
  static constexpr int kWidth = kTileWidth;
  static constexpr int kThreads = kThreadCount;
  static constexpr int kPixels = kHeight * kWidth;
  static constexpr int kPitch = pitch_for(kChannels);
  static constexpr std::size_t kBytes = sizeof(T) * 2 * kPixels * kPitch;  ///< q, then k

  static constexpr int kPairs = kChannels / 2;
  static constexpr int kRowsEach = kPairs * kPixels / kThreads / 2;
  static constexpr int kShares = kThreads / kPairs;  ///< threads with the same channels

  static constexpr int kDown = kChannels / 48;  // fragments of 16 channels of q
  static constexpr int kAcross = 6;             // fragments of 8 channels of k
  static constexpr int kWarpRows = 3;
  static constexpr int kWarpColumns = kChannels / 48;
  static constexpr int kGroups = kThreads / kWarp / (kWarpRows * kWarpColumns);

  static constexpr int kStoreBarriers = kGroups;
  static constexpr std::size_t kStoreBytes = sizeof(float) * (kChannels * kChannels + 4 * kThreads);

  static_assert(kChannels == 48 || kChannels == 96);
  static_assert(kPixels % 16 == 0 && kWidth % 8 == 0);
  static_assert(kRowsEach > 0 && kPairs * kPixels == 2 * kRowsEach * kThreads && kHeight % kRowsEach == 0);
  static_assert(kGroups > 0 && kThreads == kGroups * kWarpRows * kWarpColumns * kWarp);

  /// Of a thread.
  struct Sums {
    float products[kDown][kAcross][4] = {};
    Pair q = {};  ///< squares
    Pair k = {};
  };

  /// What a thread convolves.
  struct Share {
    int channel;  ///< the first of two
    int top;      ///< within the tile
    int left;
    int index;  ///< among the threads of the same channels
  };

  /// Lanes are at neighbouring words or 16 banks apart, so that reads of rows `pitch_for(kChannels)` apart meet no conflict: 24
  /// words a pixel follow each other over pixels two apart (56 words, 24 banks); of 48 words a warp takes a third, of two pixels
  /// four apart (208 words, 16 banks).
  static RETOUCHD_KERNEL Share share_of(const Thread& t) {
    constexpr int kAcrossTile = kWidth / 2;
    int pair = index(t) % kPairs;
    int place = index(t) / kPairs;
    if constexpr (kChannels == 96) {
      pair = warp(t) % 3 * 16 + t.lane() % 16;
      const int rest = warp(t) / 3;
      place = rest / 2 * 4 + t.lane() / 16 * 2 + rest % 2;
    }
    return {2 * pair, place / kAcrossTile * kRowsEach, place % kAcrossTile * 2, place};
  }

  /// The depthwise convolution of the thread's share. `input`: shared memory, [kHeight + 2][kWidth + 2][pitch];
  /// `take(y, x, value)`: of the two channels, y and x within the tile.
  template <typename Take>
  static RETOUCHD_KERNEL void convolve(const Share& share, const T* input, int pitch, const PairTaps& taps, const Take& take) {
    Columns sums;
    const T* const from = input + (share.top * (kWidth + 2) + share.left) * pitch + share.channel;
    const auto add = [&]<int kFirst, int kLast>(int y) {
      sums.template add<kFirst, kLast>(from + y * (kWidth + 2) * pitch, pitch, taps);
      if constexpr (kLast == 2) {
        take(share.top + y - 2, share.left, sums.rows[0][0]);
        take(share.top + y - 2, share.left + 1, sums.rows[0][1]);
      }
    };
    // Rows at the ends touch fewer than three rows of the output.
    add.template operator()<0, 0>(0);
    add.template operator()<kRowsEach == 1 ? 1 : 0, 1>(1);
    RETOUCHD_NO_UNROLL
    for (int y = 2; y < kRowsEach; ++y) add.template operator()<0, 2>(y);
    if constexpr (kRowsEach > 1) add.template operator()<1, 2>(kRowsEach);
    add.template operator()<2, 2>(kRowsEach + 1);
  }

  /// convolve() for q or k: the rounded numbers into `to`, [pixel][kPitch], zeros for what is outside of the picture. Returns the
  /// sums of their squares.
  static RETOUCHD_KERNEL Pair keep(const Share& share, const T* input, int pitch, const PairTaps& taps, const Map& map,
                                   const TilePlace& place, T* to) {
    const int height = map.height - place.top;
    const int width = map.width - place.left;
    Pair squares = {};
    convolve(share, input, pitch, taps, [&](int y, int x, const Pair& value) {
      const std::uint32_t both = y < height && x < width ? pack<T>(value.first, value.second) : 0U;
      *reinterpret_cast<std::uint32_t*>(to + (y * kWidth + x) * kPitch + share.channel) = both;
      const Pair rounded = unpack<T>(both);
      squares.first += rounded.first * rounded.first;
      squares.second += rounded.second * rounded.second;
    });
    return squares;
  }

  static RETOUCHD_KERNEL void add_squares(const Pair& squares, bool of_q, Sums& sums) {
    sums.q.first += of_q ? squares.first : 0.0F;
    sums.q.second += of_q ? squares.second : 0.0F;
    sums.k.first += of_q ? 0.0F : squares.first;
    sums.k.second += of_q ? 0.0F : squares.second;
  }

  /// convolve() for v, of all heads [pictures][height][width][channels]; this head's begin at `first`.
  static RETOUCHD_KERNEL void store_values(const Share& share, const T* input, int pitch, const PairTaps& taps, const Map& map,
                                           const TilePlace& place, T* v, int channels, int first) {
    const int height = map.height - place.top;
    const int width = map.width - place.left;
    const std::int64_t origin = (static_cast<std::int64_t>(place.picture) * map.height + place.top) * map.width + place.left;
    T* const to = v + origin * channels + first + share.channel;
    convolve(share, input, pitch, taps, [&](int y, int x, const Pair& value) {
      if (y < height && x < width) {
        *reinterpret_cast<std::uint32_t*>(to + (y * map.width + x) * channels) = pack<T>(value.first, value.second);
      }
    });
  }

  /// Adds q^T k of the tile.
  static RETOUCHD_KERNEL void multiply_tile(const Thread& t, const T* q, const T* k, Sums& sums) {
    const int group = warp(t) / (kWarpRows * kWarpColumns);
    const int row = first_row(t);
    const int column = first_column(t);
    RETOUCHD_NO_UNROLL
    for (int depth = 16 * group; depth < kPixels; depth += 16 * kGroups) {
      std::uint32_t a[kDown][4];
      RETOUCHD_UNROLL
      for (int i = 0; i < kDown; ++i) load_a_transposed(t, a[i], q, kPitch, row + 16 * i, depth);
      RETOUCHD_UNROLL
      for (int j = 0; j < kAcross; j += 2) {
        std::uint32_t b[4];
        load_b_transposed(t, b, k, kPitch, column + 8 * j, depth);
        RETOUCHD_UNROLL
        for (int i = 0; i < kDown; ++i) {
          multiply<T>(t, sums.products[i][j], a[i], b[0], b[1]);
          multiply<T>(t, sums.products[i][j + 1], a[i], b[2], b[3]);
        }
      }
    }
  }

  /// Where a block's sums go.
  struct Target {
    float* gram;  ///< [kChannels][kChannels]
    float* q;     ///< [kChannels]: squares
    float* k;
  };

  /// Adds up what the threads have, always in the same order, and writes it. `scratch`: kStoreBytes of shared memory that nobody
  /// uses any more. Threads of the block that are none of these meet them at kStoreBarriers barriers.
  static RETOUCHD_KERNEL void store(const Thread& t, const Share& share, const Sums& sums, float* scratch, const Target& to) {
    float* const gram = scratch;
    float* const squares = scratch + kChannels * kChannels;  // [share][q, k][channel]
    float* const mine = squares + share.index * 2 * kChannels + share.channel;
    mine[0] = sums.q.first;
    mine[1] = sums.q.second;
    mine[kChannels] = sums.k.first;
    mine[kChannels + 1] = sums.k.second;
    const int row = first_row(t) + t.lane() / 4;
    const int column = first_column(t) + 2 * (t.lane() % 4);
    for (int group = 0; group < kGroups; ++group) {
      if (warp(t) / (kWarpRows * kWarpColumns) == group) {
        RETOUCHD_UNROLL
        for (int i = 0; i < kDown; ++i) {
          RETOUCHD_UNROLL
          for (int j = 0; j < kAcross; ++j) {
            RETOUCHD_UNROLL
            for (int part = 0; part < 4; ++part) {
              float& sum = gram[(row + 16 * i + part / 2 * 8) * kChannels + column + 8 * j + part % 2];
              sum = group == 0 ? sums.products[i][j][part] : sum + sums.products[i][j][part];
            }
          }
        }
      }
      t.sync();
    }
    RETOUCHD_NO_UNROLL
    for (int i = index(t); i < kChannels * kChannels; i += kThreads) to.gram[i] = gram[i];
    for (int i = index(t); i < 2 * kChannels; i += kThreads) {
      float sum = 0;
      for (int j = 0; j < kShares; ++j) sum += squares[j * 2 * kChannels + i];
      if (i < kChannels) {
        to.q[i] = sum;
      } else {
        to.k[i - kChannels] = sum;
      }
    }
  }

  /// The part of `sums` that is `slot`'s for one head.
  static RETOUCHD_KERNEL Target target_of(const GramSums& sums, int picture, int slot, int head, int heads) {
    const std::int64_t part = static_cast<std::int64_t>(picture) * sums.slots + slot;
    float* const squares = sums.squares + part * 2 * heads * kChannels + head * kChannels;
    return {sums.gram + (part * heads + head) * kChannels * kChannels, squares, squares + heads * kChannels};
  }

 private:
  static RETOUCHD_KERNEL int index(const Thread& t) { return t.index() - kFirstWarp * kWarp; }
  static RETOUCHD_KERNEL int warp(const Thread& t) { return t.warp() - kFirstWarp; }

  /// Three rows of the output under way: rows[0] is the oldest.
  struct Columns {
    Pair rows[3][2] = {};

    /// Takes the next row of the input, four pixels from `row` on, by the rows of taps kFirst to kLast.
    template <int kFirst, int kLast>
    RETOUCHD_KERNEL void add(const T* row, int pitch, const PairTaps& taps) {
      RETOUCHD_UNROLL
      for (int x = 0; x < 2; ++x) {
        rows[0][x] = rows[1][x];
        rows[1][x] = rows[2][x];
        rows[2][x] = {};
      }
      Pair values[4];
      RETOUCHD_UNROLL
      for (int x = 0; x < 4; ++x) values[x] = unpack<T>(*reinterpret_cast<const std::uint32_t*>(row + x * pitch));
      RETOUCHD_UNROLL
      for (int down = kFirst; down <= kLast; ++down) {
        RETOUCHD_UNROLL
        for (int tap = 0; tap < 3; ++tap) {
          RETOUCHD_UNROLL
          for (int x = 0; x < 2; ++x) {
            rows[2 - down][x].first += taps.taps[3 * down + tap].first * values[x + tap].first;
            rows[2 - down][x].second += taps.taps[3 * down + tap].second * values[x + tap].second;
          }
        }
      }
    }
  };

  static RETOUCHD_KERNEL int first_row(const Thread& t) { return warp(t) % kWarpRows * 16 * kDown; }
  static RETOUCHD_KERNEL int first_column(const Thread& t) { return warp(t) / kWarpRows % kWarpColumns * 8 * kAcross; }
};

/// Begins to copy the taps of one head: q's, k's and v's, each [9][kChannels], from those of all, [9][3 * channels].
template <typename T, int kChannels, int kThreads>
RETOUCHD_KERNEL void copy_taps(const Thread& t, T* to, const T* weight, int channels, int head) {
  copy_rows<T, 27, kChannels, kThreads>(t, to, kChannels,
                                        [&](int row) { return weight + (row % 9 * 3 + row / 9) * channels + head * kChannels; });
}

/// What is wrong with channels, heads, shape and sums of a call; nullptr when nothing is.
inline Outcome check_gram(const Map& map, int channels, int heads, const GramSums& sums) {
  if (map.pictures < 1 || map.height < 1 || map.width < 1) return "gram: the map is empty";
  if (map.pictures > 65535) return "gram: more than 65535 pictures";
  if (map.width > 1 << 18) return "gram: the map is wider than 262144";  // offsets within a tile are 32-bit
  if (heads < 1 || (channels != 48 * heads && (channels != 96 || heads != 1)))
    return "gram: heads are of 48 channels, or one of 96";
  if (sums.slots < 1) return "gram: no slots for the sums";
  if (sums.gram == nullptr || sums.squares == nullptr) return "gram: no memory for the sums";
  return nullptr;
}

}  // namespace retouchd::kernels
