#pragma once

#include <ATen/core/Tensor.h>

#include "inference/networks/layers.h"

namespace retouchd::inference {

// Operations of the lean path on strips of maps, [N, rows, W, C]: vector_kernels.h on the CPU where it applies (contiguous, fp32
// or bf16), LibTorch's elsewhere. Results go into tensors that the caller keeps from strip to strip; the fallback converts to the
// type of the result.

/// Per pixel of fp32 maps: (x - mean) / sqrt(variance + 1e-5), or without the subtraction when not `centred`.
void normalize(const at::Tensor& x, bool centred, at::Tensor out);

/// The weights of a 3x3 depthwise convolution in the forms that strips need.
struct DepthwiseWeights {
  at::Tensor taps;          ///< [9, C] fp32
  at::Tensor bias;          ///< [C] fp32; may be undefined
  Convolution convolution;  ///< the same, in the type that the fallback computes in

  DepthwiseWeights() = default;
  DepthwiseWeights(Convolution fp32, at::ScalarType body);
};

/// Convolves channels [from, from + C') of a strip that carries a row of halo above and below, [N, rows + 2, W, C], into `out`,
/// [N, rows, W, C'].
void depthwise(const at::Tensor& strip, const DepthwiseWeights& weights, std::int64_t from, at::Tensor out);

/// Convolves all channels of such a strip; gelu(first half) * second half into `out`, [N, rows, W, C / 2].
void depthwise_gate(const at::Tensor& strip, const DepthwiseWeights& weights, at::Tensor out);

/// sums[c] += sum of x[..., c]^2; fp32.
void add_squares(const at::Tensor& x, at::Tensor sums);

/// x += y; x is fp32.
void add_strip(at::Tensor x, const at::Tensor& y);

/// x [..., C] to int8 and one scale a pixel, [pixels].
void quantize(const at::Tensor& x, at::Tensor out, at::Tensor scales);

/// out (=, or += when `accumulate`) sums * pixel_scales[:, None] * channel_scales + bias; `sums` is [pixels, C] int32.
void dequantize(const at::Tensor& sums, const at::Tensor& pixel_scales, const at::Tensor& channel_scales, const at::Tensor& bias,
                at::Tensor out, bool accumulate);

}  // namespace retouchd::inference
