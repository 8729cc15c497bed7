#pragma once

#include <memory>

#include "inference/networks/torch_network.h"

namespace retouchd::inference {

/// The network through CUDA kernels of our own. The error says why there is none: for this network, device, precision or build.
[[nodiscard]] Result<std::unique_ptr<TorchNetwork>> make_fused_network(const NetworkInfo& network, const ForwardOptions& options);

}  // namespace retouchd::inference
