#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <vector>

#include "inference/drct/drct_config.h"
#include "inference/networks/layers.h"
#include "inference/networks/weight_reader.h"

namespace retouchd::inference {

/// A layer norm over the channels, eps 1e-5.
struct DrctNorm {
  at::Tensor weight;  ///< [C]
  at::Tensor bias;    ///< [C]

  [[nodiscard]] at::Tensor operator()(const at::Tensor& x) const;
};

/// A transformer block with windowed attention, and the 1x1 convolution after it, as its state dict has them, fp32.
struct DrctStage {
  DrctNorm norm1;
  at::Tensor position_bias;  ///< [heads, w*w, w*w], of pixel i (of a query) and pixel j (of a key) of a window
  Pointwise qkv;             ///< C -> 3C: q, k and v, each by head
  Pointwise attention_out;   ///< C -> C
  DrctNorm norm2;
  Pointwise expand;    ///< C -> hidden
  Pointwise contract;  ///< hidden -> C
  Pointwise adjust;    ///< C -> growth; of the last stage C -> embed
};

using DrctGroup = std::array<DrctStage, DrctConfig::kStages>;

/// A DRCT's tensors, fp32.
struct DrctWeights {
  Convolution first;
  DrctNorm first_norm;
  std::vector<DrctGroup> groups;
  DrctNorm body_norm;
  Convolution after_body;
  Convolution before_upsample;
  std::vector<Convolution> upsample;
  Convolution last;
};

/// What is taken off pictures before and added after: the mean colour of the pictures that the networks were trained on. [3]
[[nodiscard]] at::Tensor drct_mean(const at::Device& device);

/// [w*w, w*w] int64: the row of the table of relative positions for query pixel i and key pixel j of a window,
/// (yi - yj + w - 1) * (2w - 1) + (xi - xj + w - 1).
[[nodiscard]] at::Tensor drct_relative_positions(int window);

/// State dicts of PyTorch also carry what follows from the configuration: masks, which are ignored, and the table's index, which
/// must be drct_relative_positions(). Throws BadWeights.
[[nodiscard]] DrctWeights take_drct(WeightReader& weights, const DrctConfig& config);

}  // namespace retouchd::inference
