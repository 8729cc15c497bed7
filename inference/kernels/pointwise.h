#pragma once

#include <cstdint>

#include "inference/kernels/launch.h"
#include "inference/kernels/row_part.h"
#include "inference/kernels/tile_product.h"
#include "inference/kernels/tile_shapes.h"

// Pointwise: step 2 of the ladder, a 1x1 convolution with the norm before it and the residual sum behind it. Reads 2 *
// in_channels (and 2 * out_channels of the residual), writes 2 * out_channels bytes a pixel. Without it the norm reads and writes
// the map once more, the sum reads two and writes one.
//
// With a norm, and where a row is short, a block of 128 pixels holds its rows in shared memory, normalises them there once and
// takes several tiles of outputs past them: the rows are read once, or once for each of the few blocks that share them. Long rows
// without a norm go by in steps together with the weights.
//
// Expected bounds, not measured: below 192 channels the device's memory; from 192 on tensor cores as mma.sync drives them, and
// for rows that go by the L2 cache, from which a tile of 128 x 96 reads a byte for every 27 multiplications.
namespace retouchd::kernels {

template <typename T>
struct NumberMultiplier {
  using Sum = float;
  static RETOUCHD_KERNEL void multiply(const Thread& t, float (&sum)[4], const std::uint32_t (&a)[4], std::uint32_t b0,
                                       std::uint32_t b1) {
    kernels::multiply<T>(t, sum, a, b0, b1);
  }
};

template <typename T>
struct PointwiseArguments {
  const T* in;
  const T* weight;
  const float* bias;
  const T* residual;
  T* out;
  int pixels;  ///< of a picture
  int in_channels;
  int out_channels;
  Norm norm;
  int weight_stride;  ///< numbers from one picture's weights to the next one's; 0: one for all
  TileSplit split;
};

template <typename T, typename TileShapeOf>
struct PointwiseKernel {
  using Arguments = PointwiseArguments<T>;
  using Shape = TileShapeOf;
  using Product = TileProduct<Shape, NumberMultiplier<T>>;

  static constexpr int kThreads = Shape::kThreads;
  static constexpr int kBlocksPerMultiprocessor = Shape::kBlocksPerMultiprocessor;
  static constexpr std::size_t kShared = Shape::kShared;

  static RETOUCHD_KERNEL void run(const Thread& t, const Arguments& a) {
    const int first_row = t.block_x() / a.split.parts * Shape::kRows;
    const std::int64_t first_pixel = static_cast<std::int64_t>(t.block_y()) * a.pixels + first_row;
    const std::int64_t first_result = first_pixel * a.out_channels;
    const TileOperands operands{cells(a.in + first_pixel * a.in_channels),
                                a.pixels - first_row,
                                cells(a.weight + static_cast<std::int64_t>(t.block_y()) * a.weight_stride),
                                a.out_channels,
                                a.in_channels,
                                a.in_channels};
    const TileResults<T> results{a.out + first_result, a.residual == nullptr ? nullptr : a.residual + first_result, a.bias,
                                 a.pixels - first_row, a.out_channels};
    Product::run(
        t, operands, a.split.range(t.block_x() % a.split.parts), [&] { normalise(t, a); },
        [&](int tile, const auto& sums) { store_tile<Shape>(t, results, tile, sums); });
  }

 private:
  static RETOUCHD_KERNEL const Cell* cells(const T* numbers) { return reinterpret_cast<const Cell*>(numbers); }

  static RETOUCHD_KERNEL void normalise(const Thread& t, const Arguments& a) {
    if constexpr (Shape::kHeld) {
      if (a.norm == Norm::kNone) return;
      Product::for_own_rows(t, [&](int row) {
        Cell* const held = Shape::held(t) + row * Shape::kRowPitch;
        RowPart<T, Shape::kDepth, Shape::kRowThreads> part(t, held, a.in_channels);
        part.normalise(t, a.norm);
        part.store(held);
      });
    }
  }
};

namespace detail {

template <typename T, typename Shape, typename Launcher>
Outcome run_pointwise(const PointwiseCall& call, const Launcher& launcher) {
  const RowGrid grid = row_grid<Shape>(call.map, call.out_channels);
  if (grid.blocks > kMostBlocks) return "pointwise: more blocks than a grid holds";
  return launcher.template run<PointwiseKernel<T, Shape>>(
      static_cast<int>(grid.blocks), call.map.pictures,
      {static_cast<const T*>(call.in), static_cast<const T*>(call.weight), call.bias, static_cast<const T*>(call.residual),
       static_cast<T*>(call.out), grid.pixels, call.in_channels, call.out_channels, call.norm,
       call.weight_per_picture ? call.in_channels * call.out_channels : 0, grid.split});
}

template <typename T, typename Launcher>
Outcome run_pointwise(const PointwiseCall& call, const Launcher& launcher) {
  if (call.in_channels <= ShortRows::kDepth) return run_pointwise<T, ShortRows>(call, launcher);
  if (call.norm == Norm::kNone) return run_pointwise<T, PassingRows>(call, launcher);
  if (launcher.shared_memory() >= LongRows::kShared) return run_pointwise<T, LongRows>(call, launcher);
  return run_pointwise<T, FewLongRows>(call, launcher);
}

}  // namespace detail

template <typename Launcher>
Outcome dispatch_pointwise(const PointwiseCall& call, const Launcher& launcher) {
  if (const Outcome refused = check_pixels(call.map); refused != nullptr) return refused;
  if (call.in_channels < 16 || call.in_channels % 16 != 0 || call.in_channels > 1536)
    return "pointwise: in_channels must be a multiple of 16, up to 1536";
  if (call.norm != Norm::kNone && call.in_channels > LongRows::kDepth)
    return "pointwise: with a norm in_channels must be at most 384";
  if (call.out_channels < 8 || call.out_channels % 8 != 0 || call.out_channels > kMostOutputs)
    return "pointwise: out_channels must be a multiple of 8, up to 65536";
  if (!is_vector(call.in) || !is_vector(call.weight) || !is_vector(call.out))
    return "pointwise: in, weight and out must be multiples of 16 and not null";
  if (call.residual != nullptr && !is_vector(call.residual)) return "pointwise: residual must be a multiple of 16";
  if (call.out == call.in) return "pointwise: out must not be in, which several blocks read";
  return call.number == Number::kHalf ? detail::run_pointwise<Half>(call, launcher)
                                      : detail::run_pointwise<Bfloat16>(call, launcher);
}

}  // namespace retouchd::kernels
