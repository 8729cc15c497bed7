#include "inference/networks/layers.h"

#include <ATen/Functions.h>

namespace retouchd::inference {

at::Tensor to_nchw(const at::Tensor& nhwc) { return nhwc.permute({0, 3, 1, 2}); }
at::Tensor to_nhwc(const at::Tensor& nchw) { return nchw.permute({0, 2, 3, 1}).contiguous(); }

at::Tensor pixel_shuffle(const at::Tensor& x, int factor) { return to_nhwc(at::pixel_shuffle(to_nchw(x), factor)); }
at::Tensor pixel_unshuffle(const at::Tensor& x, int factor) { return to_nhwc(at::pixel_unshuffle(to_nchw(x), factor)); }

at::Tensor Convolution::operator()(const at::Tensor& x) const {
  return to_nhwc(at::conv2d(to_nchw(x), weight, bias, stride, padding, 1, groups));
}

void Convolution::to(at::ScalarType type) {
  weight = weight.to(type);
  if (bias.defined()) bias = bias.to(type);
}

Convolution take_convolution(WeightReader& weights, const std::string& name, const ConvolutionShape& shape) {
  Convolution layer;
  layer.weight = weights.take(name + ".weight", {shape.out, shape.in / shape.groups, shape.kernel, shape.kernel})
                     .contiguous(at::MemoryFormat::ChannelsLast);
  if (shape.with_bias) layer.bias = weights.take(name + ".bias", {shape.out});
  layer.stride = shape.stride;
  layer.padding = shape.stride == 1 ? static_cast<int>(shape.kernel / 2) : 0;
  layer.groups = shape.groups;
  return layer;
}

at::Tensor Pointwise::operator()(const at::Tensor& x) const { return at::linear(x, weight, bias); }

void Pointwise::to(at::ScalarType type) {
  weight = weight.to(type);
  if (bias.defined()) bias = bias.to(type);
}

Pointwise take_pointwise(WeightReader& weights, const std::string& name, std::int64_t in, std::int64_t out, bool with_bias) {
  Pointwise layer;
  layer.weight = weights.take(name + ".weight", {out, in, 1, 1}).view({out, in});
  if (with_bias) layer.bias = weights.take(name + ".bias", {out});
  return layer;
}

}  // namespace retouchd::inference
