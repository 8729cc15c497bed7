#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "base/result.h"
#include "inference/network_info.h"
#include "inference/safetensors.h"

namespace retouchd::inference {

/// A network with its weights on one device. Inside inference/ only: everything else sees Device.
class TorchNetwork {
 public:
  virtual ~TorchNetwork() = default;

  /// [N, H, W, 3] fp32 in [0, 1], H and W multiples of the network's multiple -> [N, H*scale, W*scale, 3], not clamped.
  /// Contiguous in and out: channels lie innermost, as in pictures. Called under InferenceMode.
  [[nodiscard]] virtual at::Tensor forward(const at::Tensor& pictures) const = 0;
};

/// Builds the network that `info.architecture` names from its weights. kBadWeights names the tensor that is missing or has
/// another shape.
[[nodiscard]] Result<std::unique_ptr<TorchNetwork>> make_torch_network(const NetworkInfo& info, const WeightFile& weights,
                                                                       const at::Device& device);

}  // namespace retouchd::inference
