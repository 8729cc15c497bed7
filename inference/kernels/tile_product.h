#pragma once

#include "inference/kernels/matrix.h"

// Products of pixels and weights on tensor cores, for kernels whose block takes kRows pixels of one picture and goes through
// tiles of kColumns outputs. out[p, o] = sum_i weight[o, i] in[p, i]: both operands lie in memory along the depth i.
//
//            depth i                         The pixels' rows are held in shared memory in whole (kDepth > 0), and the weights
//   rows p  +--------+   +--+ weights        go past them in steps of 64 bytes of depth; or both go by (kDepth == 0). Copies
//           |  held  | x |->| of a step      are cp.async, kStages - 1 steps ahead, without a stop from one tile to the next.
//           +--------+   +--+                Fragments are loaded one product ahead of the multiplications.
//
// A warp multiplies kWarpRows x 48. Outputs of Restormer are mostly multiples of 48, so little is multiplied for nothing. With
// kWarpRows 64 a depth of 32 bytes is 7 ldmatrix.x4, 3,584 bytes, for 24 products m16n8k16: 149 bytes a product. The copies write
// another 32 (weights only, 128 rows held) to 75 (both, 128 x 96). Shared memory moves 128 bytes a clock; a product takes 1 clock
// of a Hopper multiprocessor at wgmma's rate, which mma.sync is known to miss by about 40 %, and 2 clocks of an A100.
// wgmma, which reads both operands from shared memory by itself, is the next step on Hopper.
namespace retouchd::kernels {

/// 16 bits of an operand: one 16-bit number or two bytes. ldmatrix does not know which.
using Cell = std::uint16_t;

template <int kRowsOfBlock, int kColumnsOfBlock, int kRowsOfWarp, int kCellsHeld, int kStagesOfCopies, int kBlocks>
struct TileShape {
  static constexpr int kRows = kRowsOfBlock;
  static constexpr int kColumns = kColumnsOfBlock;
  static constexpr int kWarpRows = kRowsOfWarp;
  static constexpr int kWarpColumns = 48;
  static constexpr int kWarpsAcross = kColumns / kWarpColumns;
  static constexpr int kThreads = kWarp * kRows / kWarpRows * kWarpsAcross;
  static constexpr int kBlocksPerMultiprocessor = kBlocks;
  static constexpr int kDepth = kCellsHeld;  ///< cells of a row that can be held; 0: rows go by as the weights do
  static constexpr bool kHeld = kDepth > 0;
  static constexpr int kStages = kStagesOfCopies;
  static constexpr int kRowThreads = 8;  ///< that copy and normalise a held row

  static constexpr int kStep = 32;  ///< cells of depth that are copied at once: two products
  static constexpr int kStepPitch = pitch_for(kStep);
  static constexpr int kRowPitch = kHeld ? pitch_for(kDepth) : kStepPitch;
  static constexpr int kHeldCells = kHeld ? kRows * kRowPitch : 0;
  static constexpr int kStageCells = (kColumns + (kHeld ? 0 : kRows)) * kStepPitch;

  /// A warp's 16 x 48 results on their way out. 8 rows of 4 lanes' pairs fall into 32 different banks.
  static constexpr int kResultPitch = pitch_for(kWarpColumns);
  static constexpr int kResultCells = 16 * kResultPitch;

  static constexpr std::size_t kShared =
      sizeof(Cell) * static_cast<std::size_t>(kHeldCells + kStages * kStageCells + kThreads / kWarp * kResultCells);

  static_assert(kColumns % kWarpColumns == 0 && kRows % kWarpRows == 0 && kWarpRows % 16 == 0 && kDepth % kStep == 0);
  static_assert(kRows % (kThreads / 4) == 0 && kColumns % (kThreads / 4) == 0, "copies are shared out evenly");

  static RETOUCHD_KERNEL Cell* held(const Thread& t) { return reinterpret_cast<Cell*>(t.shared()); }
  static RETOUCHD_KERNEL Cell* stage(const Thread& t, int slot) { return held(t) + kHeldCells + slot * kStageCells; }
  static RETOUCHD_KERNEL Cell* results(const Thread& t) { return stage(t, kStages) + t.warp() * kResultCells; }
  static RETOUCHD_KERNEL int warp_row(const Thread& t) { return t.warp() / kWarpsAcross * kWarpRows; }
  static RETOUCHD_KERNEL int warp_column(const Thread& t) { return t.warp() % kWarpsAcross * kWarpColumns; }
};

/// What a block multiplies. Rows and weights that are not there count as zeros.
struct TileOperands {
  const Cell* rows;    ///< the block's first pixel
  int row_count;       ///< pixels of the picture from it on
  const Cell* weight;  ///< [columns][cells]
  int columns;
  int cells;      ///< of a column: the depth, a multiple of 8
  int row_cells;  ///< of a row; more than `cells` only for held rows that are to become shorter in prepare()
};

/// Tiles [first, last) of outputs.
struct TileRange {
  int first;
  int last;
};

/// Multiplier: `Sum` and multiply(t, sum, a, b0, b1) of 32 bytes of depth.
template <typename Shape, typename Multiplier>
struct TileProduct {
  using Sum = typename Multiplier::Sum;
  static constexpr int kDown = Shape::kWarpRows / 16;
  static constexpr int kAcross = Shape::kWarpColumns / 8;
  using Sums = Sum[kDown][kAcross][4];

  /// For all tiles of `range`: finish(tile, sums), with the sums of the warp's part as multiply() lays them out. Held rows are
  /// given to prepare() first: each thread then sees the vectors which it copied itself, those of for_own_rows().
  template <typename Prepare, typename Finish>
  static RETOUCHD_KERNEL void run(const Thread& t, const TileOperands& operands, const TileRange& range, const Prepare& prepare,
                                  const Finish& finish) {
    const int steps = (operands.cells + Shape::kStep - 1) / Shape::kStep;
    if constexpr (Shape::kHeld) {
      copy_rows(t, operands, steps * Shape::kStep);
      t.close_copies();
    }
    Copying copying{range.first, 0, 0};
    RETOUCHD_UNROLL
    for (int i = 0; i < Shape::kStages - 1; ++i) copy_step(t, operands, range.last, copying);
    if constexpr (Shape::kHeld) {
      t.template wait_for_copies<Shape::kStages - 1>();
      prepare();
    }
    t.template wait_for_copies<Shape::kStages - 2>();
    t.sync();

    Fragments fragments[2];
    load(t, fragments[0], 0, 0, 0);
    int slot = 0;
    for (int tile = range.first; tile < range.last; ++tile) {
      Sums sums = {};
      for (int step = 0; step < steps; ++step) {
        load(t, fragments[1], slot, step, 1);
        copy_step(t, operands, range.last, copying);
        multiply(t, sums, fragments[0]);
        // Here all warps are done with this stage, so that the next copies may go there, and the next one has arrived. Behind
        // the last one nothing has: what is loaded then is not used.
        t.template wait_for_copies<Shape::kStages - 2>();
        t.sync();
        slot = slot + 1 < Shape::kStages ? slot + 1 : 0;
        load(t, fragments[0], slot, step + 1 < steps ? step + 1 : 0, 0);
        multiply(t, sums, fragments[1]);
      }
      finish(tile, sums);
    }
  }

  /// work(row) for the held rows that the thread copies, each together with seven others: of it vectors i, i + 8, i + 16 ...
  /// with i = index % 8, so that 128 bytes are read at once.
  template <typename Work>
  static RETOUCHD_KERNEL void for_own_rows(const Thread& t, const Work& work) {
    RETOUCHD_NO_UNROLL
    for (int row = t.index() / Shape::kRowThreads; row < Shape::kRows; row += Shape::kThreads / Shape::kRowThreads) work(row);
  }

 private:
  struct Fragments {
    std::uint32_t a[kDown][4];
    std::uint32_t b[kAcross / 2][4];
  };
  /// The step that is copied next.
  struct Copying {
    int tile;
    int depth;
    int slot;
  };

  static RETOUCHD_KERNEL void copy_rows(const Thread& t, const TileOperands& operands, int padded) {
    const int end = operands.row_cells > padded ? operands.row_cells : padded;
    for_own_rows(t, [&](int row) {
      for (int cell = 8 * (t.index() % Shape::kRowThreads); cell < end; cell += 8 * Shape::kRowThreads) {
        t.copy(Shape::held(t) + row * Shape::kRowPitch + cell, operands.rows + row * operands.row_cells + cell,
               row < operands.row_count && cell < operands.row_cells);
      }
    });
  }

  static RETOUCHD_KERNEL void copy_step(const Thread& t, const TileOperands& operands, int end, Copying& copying) {
    if (copying.tile < end) {
      const int cell = 8 * (t.index() % 4);
      const bool deep = copying.depth + cell < operands.cells;
      Cell* const stage = Shape::stage(t, copying.slot);
      RETOUCHD_UNROLL
      for (int i = 0; i < Shape::kColumns / (Shape::kThreads / 4); ++i) {
        const int column = t.index() / 4 + i * (Shape::kThreads / 4);
        const int output = copying.tile * Shape::kColumns + column;
        t.copy(stage + column * Shape::kStepPitch + cell, operands.weight + output * operands.cells + copying.depth + cell,
               deep && output < operands.columns);
      }
      if constexpr (!Shape::kHeld) {
        RETOUCHD_UNROLL
        for (int i = 0; i < Shape::kRows / (Shape::kThreads / 4); ++i) {
          const int row = t.index() / 4 + i * (Shape::kThreads / 4);
          t.copy(stage + (Shape::kColumns + row) * Shape::kStepPitch + cell,
                 operands.rows + row * operands.row_cells + copying.depth + cell, deep && row < operands.row_count);
        }
      }
      copying.depth += Shape::kStep;
      if (copying.depth >= operands.cells) {
        copying.depth = 0;
        ++copying.tile;
      }
      copying.slot = copying.slot + 1 < Shape::kStages ? copying.slot + 1 : 0;
    }
    t.close_copies();  // an empty group too, so that waiting counts the same to the end
  }

  static RETOUCHD_KERNEL void load(const Thread& t, Fragments& to, int slot, int step, int half) {
    const Cell* const stage = Shape::stage(t, slot);
    const Cell* const rows = Shape::kHeld ? Shape::held(t) : stage + Shape::kColumns * Shape::kStepPitch;
    const int depth = 16 * half + (Shape::kHeld ? step * Shape::kStep : 0);
    RETOUCHD_UNROLL
    for (int m = 0; m < kDown; ++m) load_a(t, to.a[m], rows, Shape::kRowPitch, Shape::warp_row(t) + 16 * m, depth);
    RETOUCHD_UNROLL
    for (int n = 0; n < kAcross / 2; ++n) load_b(t, to.b[n], stage, Shape::kStepPitch, Shape::warp_column(t) + 16 * n, 16 * half);
  }

  static RETOUCHD_KERNEL void multiply(const Thread& t, Sums& sums, const Fragments& from) {
    RETOUCHD_UNROLL
    for (int n = 0; n < kAcross; ++n) {
      RETOUCHD_UNROLL
      for (int m = 0; m < kDown; ++m)
        Multiplier::multiply(t, sums[m][n], from.a[m], from.b[n / 2][n % 2 * 2], from.b[n / 2][n % 2 * 2 + 1]);
    }
  }
};

/// Where a block's results go. Pointers are to the block's first pixel, `bias` to the first output.
template <typename T>
struct TileResults {
  T* out;
  const T* residual;  ///< or none; each vector is read by the thread that later writes it, so that it may be `out`
  const float* bias;  ///< or none
  int row_count;
  int columns;
};

/// out = T(sums + bias + residual) for the warp's part of `tile`; in and out by 16 bytes, 96 bytes of a pixel at once, turned
/// from the products' layout through the warp's own shared memory.
template <typename Shape, typename T, int kDown, int kAcross>
RETOUCHD_KERNEL void store_tile(const Thread& t, const TileResults<T>& results, int tile,
                                const float (&sums)[kDown][kAcross][4]) {
  constexpr int kVectorsAcross = Shape::kWarpColumns / 8;
  constexpr int kVectors = 16 * kVectorsAcross / kWarp;
  const int first_column = tile * Shape::kColumns + Shape::warp_column(t);
  if (first_column >= results.columns) return;
  const int first_row = Shape::warp_row(t);
  Cell* const stage = Shape::results(t);
  const auto row_of = [&](int i) { return (t.lane() + i * kWarp) / kVectorsAcross; };
  const auto column_of = [&](int i) { return (t.lane() + i * kWarp) % kVectorsAcross * 8; };
  const auto is_there = [&](int m, int i) {
    return first_row + 16 * m + row_of(i) < results.row_count && first_column + column_of(i) < results.columns;
  };
  const auto offset_of = [&](int m, int i) {
    return (first_row + 16 * m + row_of(i)) * results.columns + first_column + column_of(i);
  };

  Vector residual[kDown][kVectors] = {};
  if (results.residual != nullptr) {
    RETOUCHD_UNROLL
    for (int m = 0; m < kDown; ++m) {
      RETOUCHD_UNROLL
      for (int i = 0; i < kVectors; ++i) {
        if (is_there(m, i)) residual[m][i] = load_vector(results.residual + offset_of(m, i));
      }
    }
  }
  Pair bias[kAcross] = {};
  if (results.bias != nullptr) {
    RETOUCHD_UNROLL
    for (int n = 0; n < kAcross; ++n) {
      const int column = first_column + 8 * n + 2 * (t.lane() % 4);
      if (column < results.columns) bias[n] = {results.bias[column], results.bias[column + 1]};
    }
  }
  RETOUCHD_UNROLL
  for (int m = 0; m < kDown; ++m) {
    if (results.residual != nullptr) {
      RETOUCHD_UNROLL
      for (int i = 0; i < kVectors; ++i) store_vector(stage + row_of(i) * Shape::kResultPitch + column_of(i), residual[m][i]);
      t.sync_warp();
    }
    RETOUCHD_UNROLL
    for (int n = 0; n < kAcross; ++n) {
      RETOUCHD_UNROLL
      for (int half = 0; half < 2; ++half) {
        auto* const place = reinterpret_cast<std::uint32_t*>(stage + (t.lane() / 4 + 8 * half) * Shape::kResultPitch + 8 * n +
                                                             2 * (t.lane() % 4));
        Pair sum{sums[m][n][2 * half] + bias[n].first, sums[m][n][2 * half + 1] + bias[n].second};
        if (results.residual != nullptr) {
          const Pair more = unpack<T>(*place);
          sum = {sum.first + more.first, sum.second + more.second};
        }
        *place = pack<T>(sum.first, sum.second);
      }
    }
    t.sync_warp();
    RETOUCHD_UNROLL
    for (int i = 0; i < kVectors; ++i) {
      const Vector vector = load_vector(stage + row_of(i) * Shape::kResultPitch + column_of(i));
      if (is_there(m, i)) store_vector(results.out + offset_of(m, i), vector);
    }
    t.sync_warp();
  }
}

}  // namespace retouchd::kernels
