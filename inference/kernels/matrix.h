#pragma once

#include "inference/kernels/simt.h"

// Fragments of matrix products from shared memory, whose rows are `pitch` numbers apart. A pitch of 8 more than a multiple of 16
// keeps the eight rows of a matrix in different banks.
namespace retouchd::kernels {

/// Numbers from one row to the next of a matrix in shared memory with `columns` columns (a multiple of 16).
RETOUCHD_ANYWHERE constexpr int pitch_for(int columns) { return columns + 8; }

/// A of multiply(): 16 rows from `row` on, 16 columns (the products' depth) from `depth` on.
template <typename T>
RETOUCHD_KERNEL void load_a(const Thread& t, std::uint32_t (&a)[4], const T* matrix, int pitch, int row, int depth) {
  const int i = t.lane();
  load_matrices(t, a, matrix + (row + i % 16) * pitch + depth + i / 16 * 8);
}

/// A whose rows are the columns of what is stored: `matrix` is [depth][row].
template <typename T>
RETOUCHD_KERNEL void load_a_transposed(const Thread& t, std::uint32_t (&a)[4], const T* matrix, int pitch, int row, int depth) {
  const int i = t.lane();
  load_matrices_transposed(t, a, matrix + (depth + i % 8 + i / 16 * 8) * pitch + row + i / 8 % 2 * 8);
}

/// Two Bs of multiply(), of 8 columns each from `column` on: b[0], b[1] and b[2], b[3]. `matrix` is [column][depth], as the
/// weights of a 1x1 convolution are.
template <typename T>
RETOUCHD_KERNEL void load_b(const Thread& t, std::uint32_t (&b)[4], const T* matrix, int pitch, int column, int depth) {
  const int i = t.lane();
  load_matrices(t, b, matrix + (column + i % 8 + i / 16 * 8) * pitch + depth + i / 8 % 2 * 8);
}

/// The same where `matrix` is [depth][column].
template <typename T>
RETOUCHD_KERNEL void load_b_transposed(const Thread& t, std::uint32_t (&b)[4], const T* matrix, int pitch, int column,
                                       int depth) {
  const int i = t.lane();
  load_matrices_transposed(t, b, matrix + (depth + i % 16) * pitch + column + i / 16 * 8);
}

}  // namespace retouchd::kernels
