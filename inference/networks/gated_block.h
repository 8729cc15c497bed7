#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "inference/networks/depthwise_gate.h"
#include "inference/networks/layers.h"

namespace retouchd::inference {

/// The building block of the built-in networks: a spatial step (depthwise 3x3) and a per-pixel step, each a scaled residual with
/// a multiplication of two halves of the channels as its only non-linearity. That of Chen et al., "Simple Baselines for Image
/// Restoration" (ECCV 2022), without its channel attention, which would look at the whole picture.
class GatedBlock {
 public:
  /// Takes `<name>.norm1.weight` and so on. Throws BadWeights.
  GatedBlock(WeightReader& weights, const std::string& name, std::int64_t channels);

  /// `kernels`: see DepthwiseGate.
  void prepare(at::ScalarType type, const kernels::KernelSet* kernels);

  /// [N, H, W, channels]. Works in place on `x`, which the caller hands over.
  [[nodiscard]] at::Tensor operator()(at::Tensor x) const;

 private:
  std::int64_t channels_;
  at::Tensor norm1_weight_, norm1_bias_, norm2_weight_, norm2_bias_;
  Pointwise expand1_;
  DepthwiseGate depthwise_gate_;
  Pointwise project1_, expand2_, project2_;
};

/// `<name>.0`, `<name>.1`, ... Throws BadWeights, also when `expected` is not negative and there are not as many.
[[nodiscard]] std::vector<GatedBlock> take_gated_blocks(WeightReader& weights, const std::string& name, std::int64_t channels,
                                                        int expected = -1);

/// One after the other, on an `x` that the caller hands over.
[[nodiscard]] at::Tensor run(const std::vector<GatedBlock>& blocks, at::Tensor x);

}  // namespace retouchd::inference
