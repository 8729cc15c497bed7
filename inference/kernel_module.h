#pragma once

#include "base/result.h"
#include "inference/kernels/launch.h"

namespace retouchd::inference {

/// The CUDA kernels of libretouchd_kernels.so, which is opened when this is first called and stays. kDeviceFailed says why there
/// are none: this build has none (no nvcc), or the module is another version's. Threads: safe.
[[nodiscard]] Result<const kernels::KernelSet*> cuda_kernels();

}  // namespace retouchd::inference
