#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <vector>

#include "inference/networks/layers.h"
#include "inference/networks/weight_reader.h"
#include "inference/restormer/restormer_config.h"

namespace retouchd::inference {

/// One transformer block as its state dict has it, fp32.
struct RestormerBlock {
  struct Norm {
    at::Tensor weight;  ///< [C]
    at::Tensor bias;    ///< [C]; undefined when BiasFree
  };

  Norm norm1;
  at::Tensor temperature;    ///< [heads]
  at::Tensor position_bias;  ///< [heads, 64, 64], of pixel i (of a query) and pixel j (of a key) of a window; undefined: global
  Pointwise qkv;             ///< C -> 3C
  Convolution qkv_depthwise;
  Pointwise attention_out;  ///< C -> C
  Norm norm2;
  Pointwise expand;  ///< C -> 2 * hidden
  Convolution expand_depthwise;
  Pointwise contract;  ///< hidden -> C
};

/// A Restormer's tensors, fp32.
struct RestormerWeights {
  Convolution patch_embed;
  std::array<std::vector<RestormerBlock>, 4> encoders;  ///< levels 1 to 3, latent
  std::array<Convolution, 3> downs;                     ///< from level 1, 2, 3
  std::array<Convolution, 3> ups;                       ///< to level 1, 2, 3
  std::array<Pointwise, 3> reductions;                  ///< of level 2 and 3; [0] is undefined
  std::array<std::vector<RestormerBlock>, 3> decoders;  ///< levels 1 to 3
  std::vector<RestormerBlock> refinement;
  Pointwise skip;  ///< dual pixel only
  Convolution output;
};

/// Side of the windows of RestormerConfig::spatial_windows.
inline constexpr std::int64_t kSpatialWindow = 8;

/// Throws BadWeights.
[[nodiscard]] RestormerWeights take_restormer(WeightReader& weights, const RestormerConfig& config);

}  // namespace retouchd::inference
