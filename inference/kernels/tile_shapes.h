#pragma once

#include <cstdint>
#include <limits>

#include "inference/kernels/launch.h"
#include "inference/kernels/tile_product.h"

// The shapes of blocks that the 1x1 convolutions are compiled for, and how outputs are shared out among blocks.
//
// All outputs of one shape are a multiple of 96: of Restormer's 48, 96, 144, 192, 288, 384, 576, 1152 and their twofold hidden
// channels 256, 512, 1024, 2048 that wastes 0 to 3 % from 192 inputs on, where products count. 256 and 512 (11 %), 48 and 144
// outputs belong to 48 or 96 inputs, bound by memory.
namespace retouchd::kernels {

/// Rows up to 192 cells, two blocks a multiprocessor (of H100, H200, A100), so that one multiplies while the other loads or
/// stores.
using ShortRows = TileShape<128, 96, 64, 192, 3, 2>;
/// Rows up to 384 cells: 100 KiB of them, one block of eight warps.
using LongRows = TileShape<128, 192, 64, 384, 3, 1>;
/// The same where a block has less shared memory than LongRows takes (99 KiB of compute capability 8.6 and 8.9).
using FewLongRows = TileShape<64, 96, 32, 384, 3, 1>;
/// Rows of any length that go by.
using PassingRows = TileShape<128, 96, 64, 0, 4, 2>;

static_assert(2 * (ShortRows::kShared + 1024) <= std::size_t{164} << 10U);
static_assert(LongRows::kShared <= std::size_t{163} << 10U);
static_assert(FewLongRows::kShared <= std::size_t{99} << 10U);
static_assert(2 * (PassingRows::kShared + 1024) <= std::size_t{164} << 10U);

/// Blocks that share the tiles of the same rows.
struct TileSplit {
  int tiles;  ///< of outputs
  int parts;
  int each;  ///< tiles of one part; the last one may have fewer

  [[nodiscard]] RETOUCHD_ANYWHERE TileRange range(int part) const {
    const int first = part * each;
    return {first, first + each < tiles ? first + each : tiles};
  }
};

/// The split that takes the fewest rounds of blocks over the device, where a block costs as much as its tiles and, where it holds
/// rows, half a tile more for reading them. 132 multiprocessors are an H100's or H200's; others lose a part of one round.
template <typename Shape>
TileSplit split_tiles(std::int64_t row_blocks, int outputs) {
  constexpr std::int64_t kAtOnce = 132 * Shape::kBlocksPerMultiprocessor;
  const int tiles = (outputs - 1) / Shape::kColumns + 1;
  if (!Shape::kHeld) return {tiles, tiles, 1};
  TileSplit best{tiles, 1, tiles};
  std::int64_t best_cost = std::numeric_limits<std::int64_t>::max();
  for (int each = tiles; each > 0; --each) {
    const int parts = (tiles - 1) / each + 1;
    const std::int64_t cost = ((row_blocks * parts - 1) / kAtOnce + 1) * (1 + 2 * each);
    if (cost >= best_cost) continue;
    best = {tiles, parts, each};
    best_cost = cost;
  }
  return best;
}

/// A launch over all pixels of a picture: grid x; y are the pictures.
struct RowGrid {
  int pixels;  ///< of a picture
  TileSplit split;
  std::int64_t blocks;
};

template <typename Shape>
RowGrid row_grid(const Map& map, int outputs) {
  const int pixels = map.height * map.width;
  const std::int64_t row_blocks = (pixels - 1) / Shape::kRows + 1;
  const TileSplit split = split_tiles<Shape>(row_blocks * map.pictures, outputs);
  return {pixels, split, row_blocks * split.parts};
}

inline constexpr std::int64_t kMostBlocks = std::numeric_limits<int>::max();
inline constexpr int kMostOutputs = 65536;

inline bool is_vector(const void* address) {
  return address != nullptr && reinterpret_cast<std::uintptr_t>(address) % alignof(Vector) == 0;
}

/// nullptr, or why a kernel whose grid is pixels x pictures cannot work on `map`.
inline Outcome check_pixels(const Map& map) {
  if (map.pictures < 1 || map.height < 1 || map.width < 1) return "map: pictures, height and width must be at least 1";
  if (map.pictures > 65535) return "map: at most 65535 pictures";
  if (static_cast<std::int64_t>(map.height) * map.width > std::numeric_limits<int>::max() - 1024)
    return "map: a picture has too many pixels";
  return nullptr;
}

}  // namespace retouchd::kernels
