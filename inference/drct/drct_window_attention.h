#pragma once

#include <ATen/core/Tensor.h>

#include <span>

#include "inference/drct/drct_weights.h"
#include "inference/drct/drct_windows.h"

namespace retouchd::inference {

/// The attention of a stage, from the projection to q, k and v to the one of the result.
///
/// The channels of a head are padded with zeros to a multiple of 8, in the projections' weights, so that nothing is padded while
/// running and results stay exact: GPUs' fused attention needs the multiple for 16-bit types, CPUs gain 5 to 15 % by it. (Not of
/// 32: that kernel takes channels by 32 and fills what is missing with zeros itself, so only q, k and v would grow.) Position
/// bias and mask are added once, when the network is loaded; windows of one kind share them, at a stride of 0 between windows.
class DrctWindowAttention {
 public:
  /// Takes qkv, attention_out and position_bias off `stage`. `masks`: window_masks(), or undefined for windows not shifted.
  DrctWindowAttention(DrctStage& stage, const at::Tensor& masks, at::ScalarType type);

  /// [windows, w*w, C] of the constructor's type -> the same shape. `runs` cover all windows; not shifted: one run of kind 0.
  [[nodiscard]] at::Tensor operator()(const at::Tensor& x, std::span<const WindowRun> runs) const;

 private:
  std::int64_t heads_;
  double scale_;
  Pointwise qkv_;
  Pointwise out_;
  at::Tensor bias_;  ///< [kinds, heads, w*w, w*w]
};

}  // namespace retouchd::inference
