#pragma once

#include <ATen/core/Tensor.h>

#include "inference/kernels/launch.h"

namespace retouchd::inference {

// Between LibTorch's tensors, maps [N, H, W, C], and the calls of inference/kernels.

[[nodiscard]] kernels::Number number_of(at::ScalarType type);  ///< kHalf or kBFloat16
[[nodiscard]] kernels::Map map_of(const at::Tensor& x);
[[nodiscard]] int channels_of(const at::Tensor& x);
[[nodiscard]] const void* data_of(const at::Tensor& x);     ///< contiguous
[[nodiscard]] const float* floats_of(const at::Tensor& x);  ///< contiguous fp32, or undefined: nullptr

/// LibTorch's current one on the tensor's device. A CPU, where tests run the kernels, has none.
[[nodiscard]] kernels::Stream stream_of(const at::Tensor& x);

/// Throws c10::Error when a kernel refused.
void expect_started(kernels::Outcome outcome);

/// Makes the tensors' device the calling thread's.
void use_device(const kernels::KernelSet& kernels, const at::Device& device);

/// [C, 1, 3, 3] -> [9, C], as the kernels take the weights of a depthwise convolution.
[[nodiscard]] at::Tensor taps_of(const at::Tensor& weight, at::ScalarType type);

/// `weight` [9, 2C]; `bias` [2C] fp32, or undefined; x [N, H, W, 2C] -> [N, H, W, C].
[[nodiscard]] at::Tensor depthwise_gate(const kernels::KernelSet& kernels, const at::Tensor& x, const at::Tensor& weight,
                                        const at::Tensor& bias, kernels::Gate gate);

}  // namespace retouchd::inference
