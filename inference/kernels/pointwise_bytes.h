#pragma once

#include <cstdint>

#include "inference/kernels/launch.h"
#include "inference/kernels/row_part.h"
#include "inference/kernels/tile_product.h"
#include "inference/kernels/tile_shapes.h"

// PointwiseBytes: the 1x1 convolution behind a norm (qkv, expansion) in products of signed bytes, of which tensor cores do twice
// as many as of 16-bit numbers; weights take half of the memory.
//
// A block holds its rows as Pointwise does, and writes each, once it is normalised, as bytes over the 16-bit numbers it came as:
//
//     value = byte * largest / 127,  weight = byte * scale of the output;  out = sum of bytes * (largest / 127 * scale) + bias
//
// The sum is exact: 384 * 127^2 < 2^31. What is lost is the rounding of either operand, an error of largest / 127 / sqrt(12) a
// value. Of normally distributed values and weights the result is about 1.0e-2 off, as its test finds; outliers in a pixel cost
// more. Hence nothing for the last convolutions of a network, and for others only after a comparison of pictures.
//
// Reads 2 * in_channels, writes 2 * out_channels bytes a pixel. Expected bound: the device's memory below 384 channels. Not
// measured.
namespace retouchd::kernels {

struct ByteMultiplier {
  using Sum = std::int32_t;
  static RETOUCHD_KERNEL void multiply(const Thread& t, std::int32_t (&sum)[4], const std::uint32_t (&a)[4], std::uint32_t b0,
                                       std::uint32_t b1) {
    multiply_bytes(t, sum, a, b0, b1);
  }
};

template <typename T>
struct PointwiseBytesArguments {
  const T* in;
  const std::int8_t* weight;
  const float* scale;
  const float* bias;
  T* out;
  int pixels;  ///< of a picture
  int in_channels;
  int out_channels;
  Norm norm;
  TileSplit split;
};

template <typename T, typename TileShapeOf>
struct PointwiseBytesKernel {
  using Arguments = PointwiseBytesArguments<T>;
  using Shape = TileShapeOf;
  using Product = TileProduct<Shape, ByteMultiplier>;

  static constexpr int kThreads = Shape::kThreads;
  static constexpr int kBlocksPerMultiprocessor = Shape::kBlocksPerMultiprocessor;
  static constexpr std::size_t kShared = Shape::kShared + sizeof(float) * Shape::kRows;  // of each row largest / 127
  static_assert(Shape::kHeld);

  static RETOUCHD_KERNEL void run(const Thread& t, const Arguments& a) {
    const int first_row = t.block_x() / a.split.parts * Shape::kRows;
    const std::int64_t first_pixel = static_cast<std::int64_t>(t.block_y()) * a.pixels + first_row;
    const TileOperands operands{reinterpret_cast<const Cell*>(a.in + first_pixel * a.in_channels),
                                a.pixels - first_row,
                                reinterpret_cast<const Cell*>(a.weight),
                                a.out_channels,
                                a.in_channels / 2,
                                a.in_channels};
    const TileResults<T> results{a.out + first_pixel * a.out_channels, nullptr, a.bias, a.pixels - first_row, a.out_channels};
    Product::run(
        t, operands, a.split.range(t.block_x() % a.split.parts), [&] { quantise(t, a); },
        [&](int tile, const auto& sums) {
          float values[Product::kDown][Product::kAcross][4];
          scale(t, a, tile, sums, values);
          store_tile<Shape>(t, results, tile, values);
        });
  }

 private:
  static RETOUCHD_KERNEL float* row_scales(const Thread& t) { return reinterpret_cast<float*>(t.shared() + Shape::kShared); }

  static RETOUCHD_KERNEL void quantise(const Thread& t, const Arguments& a) {
    constexpr int kStepBytes = 2 * Shape::kStep;
    const int padded = (a.in_channels + kStepBytes - 1) / kStepBytes * kStepBytes;
    Product::for_own_rows(t, [&](int row) {
      Cell* const held = Shape::held(t) + row * Shape::kRowPitch;
      RowPart<T, Shape::kDepth, Shape::kRowThreads> part(t, held, a.in_channels);
      if (a.norm != Norm::kNone) part.normalise(t, a.norm);
      const float scale = part.store_bytes(t, held, padded);
      if (part.is_first()) row_scales(t)[row] = scale;
    });
  }

  static RETOUCHD_KERNEL void scale(const Thread& t, const Arguments& a, int tile, const typename Product::Sums& sums,
                                    float (&values)[Product::kDown][Product::kAcross][4]) {
    float of_row[Product::kDown][2];
    RETOUCHD_UNROLL
    for (int m = 0; m < Product::kDown; ++m) {
      RETOUCHD_UNROLL
      for (int half = 0; half < 2; ++half) of_row[m][half] = row_scales(t)[Shape::warp_row(t) + 16 * m + 8 * half + t.lane() / 4];
    }
    RETOUCHD_UNROLL
    for (int n = 0; n < Product::kAcross; ++n) {
      const int column = tile * Shape::kColumns + Shape::warp_column(t) + 8 * n + 2 * (t.lane() % 4);
      RETOUCHD_UNROLL
      for (int i = 0; i < 4; ++i) {
        const float of_column = column < a.out_channels ? a.scale[column + i % 2] : 0.0F;
        RETOUCHD_UNROLL
        for (int m = 0; m < Product::kDown; ++m)
          values[m][n][i] = static_cast<float>(sums[m][n][i]) * (of_row[m][i / 2] * of_column);
      }
    }
  }
};

namespace detail {

template <typename T, typename Shape, typename Launcher>
Outcome run_pointwise_bytes(const PointwiseBytesCall& call, const Launcher& launcher) {
  const RowGrid grid = row_grid<Shape>(call.map, call.out_channels);
  if (grid.blocks > kMostBlocks) return "pointwise_bytes: more blocks than a grid holds";
  return launcher.template run<PointwiseBytesKernel<T, Shape>>(
      static_cast<int>(grid.blocks), call.map.pictures,
      {static_cast<const T*>(call.in), call.weight, call.scale, call.bias, static_cast<T*>(call.out), grid.pixels,
       call.in_channels, call.out_channels, call.norm, grid.split});
}

template <typename T, typename Launcher>
Outcome run_pointwise_bytes(const PointwiseBytesCall& call, const Launcher& launcher) {
  if (call.in_channels <= ShortRows::kDepth) return run_pointwise_bytes<T, ShortRows>(call, launcher);
  if (launcher.shared_memory() >= PointwiseBytesKernel<T, LongRows>::kShared)
    return run_pointwise_bytes<T, LongRows>(call, launcher);
  return run_pointwise_bytes<T, FewLongRows>(call, launcher);
}

}  // namespace detail

template <typename Launcher>
Outcome dispatch_pointwise_bytes(const PointwiseBytesCall& call, const Launcher& launcher) {
  if (const Outcome refused = check_pixels(call.map); refused != nullptr) return refused;
  if (call.in_channels < 16 || call.in_channels % 16 != 0 || call.in_channels > LongRows::kDepth)
    return "pointwise_bytes: in_channels must be a multiple of 16, up to 384";
  if (call.out_channels < 8 || call.out_channels % 8 != 0 || call.out_channels > kMostOutputs)
    return "pointwise_bytes: out_channels must be a multiple of 8, up to 65536";
  if (!is_vector(call.in) || !is_vector(call.weight) || !is_vector(call.out))
    return "pointwise_bytes: in, weight and out must be multiples of 16 and not null";
  if (call.scale == nullptr) return "pointwise_bytes: scale must not be null";
  if (call.out == call.in) return "pointwise_bytes: out must not be in, which several blocks read";
  return call.number == Number::kHalf ? detail::run_pointwise_bytes<Half>(call, launcher)
                                      : detail::run_pointwise_bytes<Bfloat16>(call, launcher);
}

}  // namespace retouchd::kernels
