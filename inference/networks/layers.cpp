#include "inference/networks/layers.h"

#include <ATen/Functions.h>

namespace retouchd::inference {
namespace {

/// [N, H, W, f*f*C] as [N, H, f, W, f, C]. A view.
at::Tensor spread(const at::Tensor& x, int factor) {
  return x.view({x.size(0), x.size(1), x.size(2), factor, factor, -1}).permute({0, 1, 3, 2, 4, 5});
}

/// The first dimension, [C, f, f], as [f, f, C].
at::Tensor reordered(const at::Tensor& x, int factor) {
  auto unfolded = x.sizes().vec();
  unfolded.front() = x.size(0) / (factor * factor);
  unfolded.insert(unfolded.begin() + 1, {factor, factor});
  return x.view(unfolded).movedim(0, 2).reshape(x.sizes());
}

}  // namespace

at::Tensor to_nchw(const at::Tensor& nhwc) { return nhwc.permute({0, 3, 1, 2}); }
at::Tensor to_nhwc(const at::Tensor& nchw) { return nchw.permute({0, 2, 3, 1}).contiguous(); }

at::Tensor pixel_shuffle(const at::Tensor& x, int factor) { return to_nhwc(at::pixel_shuffle(to_nchw(x), factor)); }
at::Tensor pixel_unshuffle(const at::Tensor& x, int factor) { return to_nhwc(at::pixel_unshuffle(to_nchw(x), factor)); }

at::Tensor spread_pixels(const at::Tensor& x, int factor) {
  return spread(x, factor).reshape({x.size(0), x.size(1) * factor, x.size(2) * factor, -1});
}

at::Tensor spread_pixels(const at::Tensor& x, int factor, const at::Tensor& skip) {
  const at::Tensor pixels = spread(x, factor);
  const at::Tensor result = at::empty_like(skip);
  at::Tensor parts = result.view(pixels.sizes());
  at::add_out(parts, skip.view(pixels.sizes()), pixels);
  return result;
}

at::Tensor Convolution::operator()(const at::Tensor& x) const {
  return to_nhwc(at::conv2d(to_nchw(x), weight, bias, stride, padding, 1, groups));
}

void Convolution::to(at::ScalarType type) {
  weight = weight.to(type);
  if (bias.defined()) bias = bias.to(type);
}

void order_for_spreading(Convolution& layer, int factor) {
  layer.weight = reordered(layer.weight.contiguous(), factor).contiguous(at::MemoryFormat::ChannelsLast);
  if (layer.bias.defined()) layer.bias = reordered(layer.bias, factor);
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

void order_for_spreading(Pointwise& layer, int factor) {
  layer.weight = reordered(layer.weight, factor);
  if (layer.bias.defined()) layer.bias = reordered(layer.bias, factor);
}

Pointwise take_pointwise(WeightReader& weights, const std::string& name, std::int64_t in, std::int64_t out, bool with_bias) {
  Pointwise layer;
  layer.weight = weights.take(name + ".weight", {out, in, 1, 1}).view({out, in});
  if (with_bias) layer.bias = weights.take(name + ".bias", {out});
  return layer;
}

}  // namespace retouchd::inference
