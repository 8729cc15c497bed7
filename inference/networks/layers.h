#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "inference/networks/weight_reader.h"

namespace retouchd::inference {

// Tensors are [N, H, W, C] throughout: a 1x1 convolution is then a plain matrix product, a layer norm runs over the innermost
// dimension, and the permuted views are what LibTorch calls channels_last, which its convolutions take without copying.

[[nodiscard]] at::Tensor to_nchw(const at::Tensor& nhwc);  ///< a view
[[nodiscard]] at::Tensor to_nhwc(const at::Tensor& nchw);  ///< contiguous; no copy when `nchw` is channels_last

/// [N, H, W, C*f*f] -> [N, H*f, W*f, C], and back.
[[nodiscard]] at::Tensor pixel_shuffle(const at::Tensor& x, int factor);
[[nodiscard]] at::Tensor pixel_unshuffle(const at::Tensor& x, int factor);

/// pixel_shuffle() of channels in another order, [f, f, C] instead of [C, f, f]: whole runs of f * C numbers are copied, which
/// GPUs and CPUs both like better. Layers before it are brought into that order when they are loaded (order_for_spreading()).
[[nodiscard]] at::Tensor spread_pixels(const at::Tensor& x, int factor);
/// The same plus `skip` [N, H*f, W*f, C], in one pass.
[[nodiscard]] at::Tensor spread_pixels(const at::Tensor& x, int factor, const at::Tensor& skip);

struct Convolution {
  at::Tensor weight;  ///< [out, in/groups, k, k], channels_last
  at::Tensor bias;    ///< may be undefined
  int stride = 1;
  int padding = 0;
  std::int64_t groups = 1;

  [[nodiscard]] at::Tensor operator()(const at::Tensor& x) const;
  void to(at::ScalarType type);
};

struct ConvolutionShape {
  std::int64_t in = 0;
  std::int64_t out = 0;
  std::int64_t kernel = 3;
  int stride = 1;  ///< 1: padded so that the size stays; else not padded
  std::int64_t groups = 1;
  bool with_bias = true;
};

/// `<name>.weight` and `<name>.bias`. Throws BadWeights.
[[nodiscard]] Convolution take_convolution(WeightReader& weights, const std::string& name, const ConvolutionShape& shape);

/// Reorders the channels of a convolution's result, [C, f, f] by pixel_shuffle(), for spread_pixels().
void order_for_spreading(Convolution& layer, int factor);

/// A 1x1 convolution as a matrix product.
struct Pointwise {
  at::Tensor weight;  ///< [out, in]
  at::Tensor bias;    ///< may be undefined

  [[nodiscard]] at::Tensor operator()(const at::Tensor& x) const;
  void to(at::ScalarType type);
};

void order_for_spreading(Pointwise& layer, int factor);

/// `<name>.weight` of shape [out, in, 1, 1] and `<name>.bias`. Throws BadWeights.
[[nodiscard]] Pointwise take_pointwise(WeightReader& weights, const std::string& name, std::int64_t in, std::int64_t out,
                                       bool with_bias = true);

}  // namespace retouchd::inference
