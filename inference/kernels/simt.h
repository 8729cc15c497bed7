#pragma once

#include <cstddef>
#include <cstdint>

#include "inference/kernels/number16.h"

#if !defined(__CUDACC__)
#include "inference/kernels/simt_host.h"
#endif

#if defined(__CUDACC__)
#define RETOUCHD_KERNEL __device__ __forceinline__
#define RETOUCHD_UNROLL _Pragma("unroll")
#define RETOUCHD_NO_UNROLL _Pragma("unroll 1")
#else
#define RETOUCHD_KERNEL inline
#define RETOUCHD_UNROLL
#define RETOUCHD_NO_UNROLL
#endif

// What the kernels are written in: the few instructions of a GPU that they need. nvcc turns each into one instruction; without
// nvcc they go to a Block that runs the threads one by one (simt_host.h), so that tests run the very same templates on a CPU.
//
// A kernel is a struct with
//
//     struct Arguments { ... };                            plain data, passed by value
//     static constexpr int kThreads, kBlocksPerMultiprocessor;
//     static constexpr std::size_t kShared;                bytes of shared memory
//     static void run(const Thread&, const Arguments&);    what each thread does
//
// Fragments of matrix products are laid out as the PTX manual has it for mma.sync (m16n8k16 and m16n8k32) and ldmatrix.
namespace retouchd::kernels {

inline constexpr int kWarp = 32;

#if defined(__CUDACC__)

/// The running thread.
class Thread {
 public:
  __device__ __forceinline__ explicit Thread(std::byte* shared) : shared_(shared) {}

  [[nodiscard]] __device__ __forceinline__ int index() const { return static_cast<int>(threadIdx.x); }
  [[nodiscard]] __device__ __forceinline__ int lane() const { return static_cast<int>(threadIdx.x) % kWarp; }
  [[nodiscard]] __device__ __forceinline__ int warp() const { return static_cast<int>(threadIdx.x) / kWarp; }
  [[nodiscard]] __device__ __forceinline__ int block_x() const { return static_cast<int>(blockIdx.x); }
  [[nodiscard]] __device__ __forceinline__ int block_y() const { return static_cast<int>(blockIdx.y); }
  [[nodiscard]] __device__ __forceinline__ int blocks_x() const { return static_cast<int>(gridDim.x); }
  [[nodiscard]] __device__ __forceinline__ std::byte* shared() const { return shared_; }

  /// All threads of the block get here before any goes on.
  __device__ __forceinline__ void sync() const { __syncthreads(); }
  /// The same for the 32 threads of the warp.
  __device__ __forceinline__ void sync_warp() const { __syncwarp(); }

  /// `value` of the lane whose number differs from this one's by the bits of `mask`.
  [[nodiscard]] __device__ __forceinline__ float exchange(float value, int mask) const {
    return __shfl_xor_sync(0xffffffffU, value, mask);
  }

  // Copies of 16 bytes from global to shared memory that go on while the thread does. Both addresses are multiples of 16. They
  // are there once wait_for_copies() returned in the thread that began them; for the others after a barrier on top.
  /// `wanted` false: zeros, and `from` is not read.
  __device__ __forceinline__ void copy(void* to, const void* from, bool wanted) const {
    const auto target = static_cast<std::uint32_t>(__cvta_generic_to_shared(to));
    const int bytes = wanted ? 16 : 0;
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(target), "l"(from), "r"(bytes) : "memory");
  }
  /// Closes a group: the copies begun since the last one.
  __device__ __forceinline__ void close_copies() const { asm volatile("cp.async.commit_group;" ::: "memory"); }
  /// Waits until at most `kPending` of the last closed groups are under way.
  template <int kPending>
  __device__ __forceinline__ void wait_for_copies() const {
    asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
  }

 private:
  std::byte* shared_;
};

/// Four 8x8 matrices of 16-bit numbers from shared memory. Lane i points at the row i % 8 of matrix i / 8: 8 numbers, at a
/// multiple of 16 bytes. Register m of lane i is then row i / 4, numbers 2 * (i % 4) and the next, of matrix m.
RETOUCHD_KERNEL void load_matrices(const Thread& /*t*/, std::uint32_t (&to)[4], const void* row) {
  const auto from = static_cast<std::uint32_t>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(from)
               : "memory");
}

/// The same with each matrix transposed: register m of lane i is column i / 4, rows 2 * (i % 4) and the next, of matrix m.
RETOUCHD_KERNEL void load_matrices_transposed(const Thread& /*t*/, std::uint32_t (&to)[4], const void* row) {
  const auto from = static_cast<std::uint32_t>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(from)
               : "memory");
}

/// sum += a b with a [16, 16] (rows), b [16, 8] (columns), sum [16, 8] in fp32. With g = lane / 4 and p = 2 * (lane % 4):
///   a: {row g, columns p p+1}, {g + 8, p p+1}, {g, p+8 p+9}, {g + 8, p+8 p+9}
///   b: {rows p p+1, column g}, {rows p+8 p+9, column g}
///   sum: (g, p), (g, p + 1), (g + 8, p), (g + 8, p + 1)
template <typename T>
RETOUCHD_KERNEL void multiply(const Thread& t, float (&sum)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1);

template <>
RETOUCHD_KERNEL void multiply<Half>(const Thread& /*t*/, float (&sum)[4], const std::uint32_t (&a)[4], std::uint32_t b0,
                                    std::uint32_t b1) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

template <>
RETOUCHD_KERNEL void multiply<Bfloat16>(const Thread& /*t*/, float (&sum)[4], const std::uint32_t (&a)[4], std::uint32_t b0,
                                        std::uint32_t b1) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/// sum += a b with a [16, 32] (rows), b [32, 8] (columns) of signed bytes, sum [16, 8] in whole numbers. With q = 4 * (lane % 4):
///   a: {row g, columns q .. q+3}, {g + 8, q ..}, {g, q + 16 ..}, {g + 8, q + 16 ..}
///   b: {rows q .. q+3, column g}, {rows q + 16 .., column g};  sum as above
RETOUCHD_KERNEL void multiply_bytes(const Thread& /*t*/, std::int32_t (&sum)[4], const std::uint32_t (&a)[4], std::uint32_t b0,
                                    std::uint32_t b1) {
  asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+r"(sum[0]), "+r"(sum[1]), "+r"(sum[2]), "+r"(sum[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

#endif

/// Sixteen bytes: eight 16-bit numbers. Moved by one instruction.
struct alignas(16) Vector {
  std::uint32_t words[4];
};

RETOUCHD_KERNEL Vector load_vector(const void* from) {
#if !defined(__CUDACC__)
  check_alignment(from, alignof(Vector));
#endif
  return *static_cast<const Vector*>(from);
}

RETOUCHD_KERNEL void store_vector(void* to, const Vector& vector) {
#if !defined(__CUDACC__)
  check_alignment(to, alignof(Vector));
#endif
  *static_cast<Vector*>(to) = vector;
}

/// Sum over the 32 lanes, in each of them.
RETOUCHD_KERNEL float sum_of_warp(const Thread& t, float value) {
  RETOUCHD_UNROLL
  for (int mask = kWarp / 2; mask > 0; mask /= 2) value += t.exchange(value, mask);
  return value;
}

}  // namespace retouchd::kernels
