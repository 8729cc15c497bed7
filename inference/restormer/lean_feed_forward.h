#pragma once

#include <ATen/core/Tensor.h>

#include "inference/restormer/lean_expansion.h"
#include "inference/restormer/lean_pointwise.h"
#include "inference/restormer/restormer_weights.h"
#include "inference/restormer/strip_operations.h"

namespace retouchd::inference {

/// x += feed_forward(norm2(x)) in place. The 2 * hidden channels between exist for one strip of each band only; hidden is padded
/// to a multiple of 16 with zeros, which stay zeros up to the gate and add nothing after it.
class LeanFeedForward {
 public:
  LeanFeedForward(const RestormerBlock& block, const LeanNumbers& numbers, std::int64_t strip_pixels);

  /// `x` is [N, H, W, C], contiguous.
  void add_to(at::Tensor& x) const;

 private:
  LeanExpansion expand_;
  DepthwiseWeights depthwise_;
  LeanPointwise contract_;
  at::ScalarType body_;
  std::int64_t strip_pixels_;
};

}  // namespace retouchd::inference
