#pragma once

#include "inference/kernels/launch.h"
#include "inference/kernels/matrix.h"
#include "inference/kernels/row_part.h"

namespace retouchd::kernels {

/// Where a tile lies in its picture.
struct TilePlace {
  int picture = 0;
  int top = 0;
  int left = 0;
};

/// Of the tile number `index` of a picture, counted row by row.
template <int kHeight, int kWidth>
RETOUCHD_ANYWHERE TilePlace tile_place(const Map& map, int picture, int index) {
  const int across = (map.width + kWidth - 1) / kWidth;
  return {picture, index / across * kHeight, index % across * kWidth};
}

template <int kHeight, int kWidth>
RETOUCHD_ANYWHERE int tiles_in(const Map& map) {
  return (map.height + kHeight - 1) / kHeight * ((map.width + kWidth - 1) / kWidth);
}

/// Copies `kRows` rows of `kColumns` numbers each into shared memory, 16 bytes a thread and step. `row_at(i)` is the i-th row's
/// address.
template <typename T, int kRows, int kColumns, int kThreads, typename RowAt>
RETOUCHD_KERNEL void copy_rows(const Thread& t, T* to, int pitch, const RowAt& row_at) {
  constexpr int kVectors = kColumns / 8;
  RETOUCHD_NO_UNROLL
  for (int i = t.index(); i < kRows * kVectors; i += kThreads) {
    const int row = i / kVectors;
    const int column = i % kVectors * 8;
    t.copy(to + row * pitch + column, row_at(row) + column, true);
  }
}

/// A tile of a map in shared memory with one pixel more on each side, for kernels that expand its channels by a 1x1 convolution
/// and look at 3x3 neighbours of the result. In shared memory the pixels are rows of a matrix, [kPadded][kPitch]: row by row of
/// the tile, border included, then rows of zeros up to a multiple of 16, the height of a matrix product's fragment.
template <typename T, int kChannelCount, int kTileHeight, int kTileWidth, int kThreadCount>
struct HaloTile {
  static constexpr int kChannels = kChannelCount;
  static constexpr int kHeight = kTileHeight;
  static constexpr int kWidth = kTileWidth;
  static constexpr int kThreads = kThreadCount;
  static constexpr int kRows = kHeight + 2;
  static constexpr int kColumns = kWidth + 2;
  static constexpr int kPixels = kRows * kColumns;
  static constexpr int kPadded = (kPixels + 15) / 16 * 16;
  static constexpr int kPitch = pitch_for(kChannels);
  static constexpr std::size_t kBytes = sizeof(T) * kPadded * kPitch;
  static_assert(kChannels % 16 == 0);

  /// Whether row `pixel` of the matrix is a pixel of the picture.
  [[nodiscard]] static RETOUCHD_KERNEL bool is_inside(const Map& map, const TilePlace& place, int pixel) {
    const int y = place.top - 1 + pixel / kColumns;
    const int x = place.left - 1 + pixel % kColumns;
    return pixel < kPixels && y >= 0 && y < map.height && x >= 0 && x < map.width;
  }

  /// Begins to copy the tile; what is outside of the picture becomes zero. The caller closes and waits.
  static RETOUCHD_KERNEL void load(const Thread& t, T* tile, const T* in, const Map& map, const TilePlace& place) {
    constexpr int kVectors = kChannels / 8;
    const auto height = static_cast<std::int64_t>(map.height);
    RETOUCHD_NO_UNROLL
    for (int i = t.index(); i < kPadded * kVectors; i += kThreads) {
      const int pixel = i / kVectors;
      const int channel = i % kVectors * 8;
      const int y = place.top - 1 + pixel / kColumns;
      const int x = place.left - 1 + pixel % kColumns;
      const bool inside = is_inside(map, place, pixel);
      const T* const from = inside ? in + ((place.picture * height + y) * map.width + x) * kChannels + channel : in;
      t.copy(tile + pixel * kPitch + channel, from, inside);
    }
  }

  /// Normalises each pixel over its channels, in place, statistics in fp32. Needs the whole tile; a barrier follows before others
  /// read it. Rows of zeros stay zeros.
  static RETOUCHD_KERNEL void normalise(const Thread& t, T* tile, Norm norm) {
    if (norm == Norm::kNone) return;
    for (int pixel = t.index() / kLanes; pixel < kPadded; pixel += kThreads / kLanes) {
      T* const numbers = tile + pixel * kPitch;
      RowPart<T, kChannels, kLanes> part(t, numbers, kChannels);
      part.normalise(t, norm);
      part.store(numbers);
    }
  }

  /// Bytes of a pixel after to_bytes(): its channels, then zeros up to a multiple of 32, the depth of a product of bytes.
  static constexpr int kBytesDepth = (kChannels + 31) / 32 * 32;

  /// Normalises each pixel and makes signed bytes of it: round(value / scale), scale = largest / 127, a pixel's own. They take
  /// the first kBytesDepth bytes of the pixel's row. `scales`: shared memory, [kPadded].
  static RETOUCHD_KERNEL void to_bytes(const Thread& t, T* tile, Norm norm, float* scales) {
    for (int pixel = t.index() / kLanes; pixel < kPadded; pixel += kThreads / kLanes) {
      T* const numbers = tile + pixel * kPitch;
      RowPart<T, kBytesDepth, kLanes> part(t, numbers, kChannels);
      if (norm != Norm::kNone) part.normalise(t, norm);
      const float scale = part.store_bytes(t, numbers, kBytesDepth);
      if (part.is_first()) scales[pixel] = scale;
    }
  }

  /// chunk[pixel][o] = result_of(weight[o] . tile[pixel], pixel, o), and zero outside of the picture, as the depthwise
  /// convolution behind it pads its own input. `weight`: shared memory, [kOut][pitch_for(kDepth)]; chunk: shared memory,
  /// [kPadded][pitch_for(kOut)]. `Sum` is float for products of T, kDepth channels; std::int32_t for those of bytes, kDepth pairs
  /// of them.
  ///
  /// The warps share the products 4 x 2: each has a quarter of the pixels and half of the channels, so that a fragment of either
  /// is used by several products. The chunk's rows are 4 banks apart: the stores below meet no conflict.
  template <int kOut, typename Sum, int kDepth, typename ResultOf>
  static RETOUCHD_KERNEL void expand(const Thread& t, const T* tile, const T* weight, const ResultOf& result_of, const Map& map,
                                     const TilePlace& place, T* chunk) {
    constexpr int kWarpRows = 4;
    constexpr int kWarpColumns = kThreads / kWarp / kWarpRows;
    constexpr int kFragments = kPadded / 16;
    constexpr int kDown =
        (kFragments + kWarpRows - 1) / kWarpRows;     // fragments of 16 pixels a warp; the last warps may have fewer
    constexpr int kAcross = kOut / 8 / kWarpColumns;  // fragments of 8 channels a warp
    static_assert(kOut % (16 * kWarpColumns) == 0 && kDepth % 16 == 0);
    constexpr int kChunkPitch = pitch_for(kOut);
    const int first_pixel = t.warp() % kWarpRows * kDown * 16;
    const int first_channel = t.warp() / kWarpRows * kAcross * 8;

    Sum sums[kDown][kAcross][4] = {};
    RETOUCHD_NO_UNROLL
    for (int depth = 0; depth < kDepth; depth += 16) {
      std::uint32_t a[kDown][4];
      RETOUCHD_UNROLL
      for (int i = 0; i < kDown; ++i) {
        if (kFragments % kWarpRows == 0 || first_pixel + 16 * i < kPadded)
          load_a(t, a[i], tile, kPitch, first_pixel + 16 * i, depth);
      }
      RETOUCHD_UNROLL
      for (int j = 0; j < kAcross; j += 2) {
        std::uint32_t b[4];
        load_b(t, b, weight, pitch_for(kDepth), first_channel + 8 * j, depth);
        RETOUCHD_UNROLL
        for (int i = 0; i < kDown; ++i) {
          if (kFragments % kWarpRows == 0 || first_pixel + 16 * i < kPadded) {
            product(t, sums[i][j], a[i], b[0], b[1]);
            product(t, sums[i][j + 1], a[i], b[2], b[3]);
          }
        }
      }
    }

    const int row = t.lane() / 4;
    const int column = 2 * (t.lane() % 4);
    RETOUCHD_UNROLL
    for (int i = 0; i < kDown; ++i) {
      RETOUCHD_UNROLL
      for (int half = 0; half < 2; ++half) {
        const int pixel = first_pixel + 16 * i + 8 * half + row;
        if (kFragments % kWarpRows != 0 && pixel >= kPadded) continue;
        const bool inside = is_inside(map, place, pixel);
        RETOUCHD_UNROLL
        for (int j = 0; j < kAcross; ++j) {
          const int channel = first_channel + 8 * j + column;
          const float first = result_of(sums[i][j][2 * half], pixel, channel);
          const float second = result_of(sums[i][j][2 * half + 1], pixel, channel + 1);
          *reinterpret_cast<std::uint32_t*>(chunk + pixel * kChunkPitch + channel) = inside ? pack<T>(first, second) : 0U;
        }
      }
    }
  }

 private:
  static constexpr int kLanes = kChannels <= 48 ? 2 : 4;  // that share a pixel in its normalisation
  static_assert(kPadded % (kWarp / kLanes) == 0);

  static RETOUCHD_KERNEL void product(const Thread& t, float (&sum)[4], const std::uint32_t (&a)[4], std::uint32_t b0,
                                      std::uint32_t b1) {
    multiply<T>(t, sum, a, b0, b1);
  }
  static RETOUCHD_KERNEL void product(const Thread& t, std::int32_t (&sum)[4], const std::uint32_t (&a)[4], std::uint32_t b0,
                                      std::uint32_t b1) {
    multiply_bytes(t, sum, a, b0, b1);
  }
};

/// The weights of a depthwise 3x3 convolution for two neighbouring channels.
struct PairTaps {
  Pair taps[9];
};

/// From [9][pitch] in shared memory, two channels from `weight` on.
template <typename T>
RETOUCHD_KERNEL PairTaps load_taps(const T* weight, int pitch) {
  PairTaps taps;
  RETOUCHD_UNROLL
  for (int i = 0; i < 9; ++i) taps.taps[i] = unpack<T>(*reinterpret_cast<const std::uint32_t*>(weight + i * pitch));
  return taps;
}

/// Three rows of a depthwise convolution under way, of two channels: each row of the input is read once and added to the three
/// rows of the output that it touches.
struct ColumnSums {
  Pair rows[3] = {};

  /// Takes the next row, from the border above the tile on: three pixels from `row` on. From the third one on `rows[0]` is
  /// complete afterwards: the output one row above, in the middle of the three.
  template <typename T>
  RETOUCHD_KERNEL void add(const T* row, int pitch, const PairTaps& taps) {
    rows[0] = rows[1];
    rows[1] = rows[2];
    rows[2] = {};
    RETOUCHD_UNROLL
    for (int x = 0; x < 3; ++x) {
      const Pair value = unpack<T>(*reinterpret_cast<const std::uint32_t*>(row + x * pitch));
      RETOUCHD_UNROLL
      for (int y = 0; y < 3; ++y) {
        rows[y].first += taps.taps[3 * (2 - y) + x].first * value.first;
        rows[y].second += taps.taps[3 * (2 - y) + x].second * value.second;
      }
    }
  }
};

}  // namespace retouchd::kernels
