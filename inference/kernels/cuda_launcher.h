#pragma once

#include <cuda_runtime.h>

#include "inference/kernels/launch.h"
#include "inference/kernels/simt.h"

namespace retouchd::kernels {

template <typename Kernel>
__global__ void __launch_bounds__(Kernel::kThreads, Kernel::kBlocksPerMultiprocessor)
    run_kernel(const __grid_constant__ typename Kernel::Arguments arguments) {
  extern __shared__ uint4 shared[];
  Kernel::run(Thread(reinterpret_cast<std::byte*>(shared)), arguments);
}

/// What the dispatch_...() functions beside the kernels are given: queues a kernel on a stream of the current device.
class CudaLauncher {
 public:
  explicit CudaLauncher(Stream stream) : stream_(static_cast<cudaStream_t>(stream)) {}

  template <typename Kernel>
  [[nodiscard]] Outcome run(int blocks_x, int blocks_y, const typename Kernel::Arguments& arguments) const {
    // Once a process and device would do; it is a lookup in the driver's table, far below a launch.
    if (Kernel::kShared > kFreeShared) {
      const cudaError_t allowed = cudaFuncSetAttribute(run_kernel<Kernel>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                                       static_cast<int>(Kernel::kShared));
      if (allowed != cudaSuccess) return outcome_of(allowed);
    }
    const dim3 grid(static_cast<unsigned>(blocks_x), static_cast<unsigned>(blocks_y));
    run_kernel<Kernel><<<grid, Kernel::kThreads, Kernel::kShared, stream_>>>(arguments);
    return outcome_of(cudaGetLastError());
  }

  /// Shared memory that a block of the current device can have.
  [[nodiscard]] static std::size_t shared_memory() {
    int device = 0;
    int bytes = 0;
    if (outcome_of(cudaGetDevice(&device)) != nullptr) return 0;
    if (outcome_of(cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device)) != nullptr) return 0;
    return static_cast<std::size_t>(bytes);
  }

  /// Of every call of CUDA in this module: an error that one leaves behind would be taken for the next launch's.
  static Outcome outcome_of(cudaError_t error) {
    if (error == cudaSuccess) return nullptr;
    (void)cudaGetLastError();
    return cudaGetErrorString(error);
  }

 private:
  static constexpr std::size_t kFreeShared = std::size_t{48} << 10U;

  cudaStream_t stream_;
};

}  // namespace retouchd::kernels
