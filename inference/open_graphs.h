#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "base/result.h"
#include "inference/graph_backend.h"

namespace retouchd::inference {

/// What records forward passes on `device`, from the module libretouchd_cuda.so. kDeviceFailed where that is missing (this build
/// was made without LibTorch's CUDA headers), does not fit, or `device` is no CUDA device.
[[nodiscard]] Result<std::unique_ptr<GraphBackend>> open_graphs(const at::Device& device);

}  // namespace retouchd::inference
