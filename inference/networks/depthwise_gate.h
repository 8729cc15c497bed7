#pragma once

#include <ATen/core/Tensor.h>

#include "inference/kernels/launch.h"
#include "inference/networks/layers.h"

namespace retouchd::inference {

/// [N, H, W, 2C] -> [N, H, W, C]: the first half of the channels times the second one. `x`: contiguous.
[[nodiscard]] at::Tensor gate(const at::Tensor& x);

/// gate(depthwise(x)) for a 3x3 convolution of stride 1, each channel by itself.
///
/// One thing, so that a kernel for both together need not write the map between them: on a GPU, where memory sets the pace, that
/// map is a third of what a gated block moves.
class DepthwiseGate {
 public:
  DepthwiseGate() = default;
  /// `fp32`: with or without bias.
  explicit DepthwiseGate(Convolution fp32) : convolution_(std::move(fp32)) {}

  /// `kernels`: used for 16-bit types; nullptr: LibTorch's operations.
  void prepare(at::ScalarType type, const kernels::KernelSet* kernels);

  /// x [N, H, W, 2C], contiguous -> [N, H, W, C]
  [[nodiscard]] at::Tensor operator()(const at::Tensor& x) const;

 private:
  Convolution convolution_;
  const kernels::KernelSet* kernels_ = nullptr;
  at::Tensor taps_;  ///< [9, 2C], for the kernel
  at::Tensor bias_;  ///< [2C] fp32, likewise
};

}  // namespace retouchd::inference
