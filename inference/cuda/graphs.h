#pragma once

#include "inference/graph_backend.h"

namespace retouchd::inference {

/// Stands for graph_backend.h and this file: a module built from others is refused.
inline constexpr int kGraphsVersion = 1;

/// The only door of libretouchd_cuda.so: what records on that CUDA device, and the caller owns; null when `version` is not its
/// own. Throws what LibTorch throws.
extern "C" __attribute__((visibility("default"))) GraphBackend* retouchd_cuda_graphs(int version, int device);

}  // namespace retouchd::inference
