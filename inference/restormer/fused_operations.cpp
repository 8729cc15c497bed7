#include "inference/restormer/fused_operations.h"

#include <ATen/Functions.h>

#include "inference/networks/kernel_call.h"

namespace retouchd::inference {
namespace {

/// Pixels of the Gram kernels' tiles; how many blocks share a picture follows from it.
constexpr int kGramTile = 128;

at::Tensor empty_like(const at::Tensor& x, std::int64_t channels) {
  return at::empty({x.size(0), x.size(1), x.size(2), channels}, x.options());
}

}  // namespace

bool FusedOperations::keeps_on_chip(kernels::OnChip kernel, std::int64_t channels) const {
  return kernels_->fits(kernel, static_cast<int>(channels));
}

std::int64_t FusedOperations::bytes_depth(std::int64_t channels) const {
  constexpr std::int64_t kDepth = 32;
  return keeps_on_chip(kernels::OnChip::kFeedForward, channels) ? (channels + kDepth - 1) / kDepth * kDepth : channels;
}

void FusedOperations::use(const at::Device& device) const { use_device(*kernels_, device); }

at::Tensor FusedOperations::pointwise(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                                      kernels::Norm norm) const {
  const at::Tensor out = empty_like(x, weight.size(0));
  kernels::PointwiseCall call;
  call.number = number_of(body_);
  call.map = map_of(x);
  call.in_channels = channels_of(x);
  call.out_channels = channels_of(out);
  call.norm = norm;
  call.in = data_of(x);
  call.weight = data_of(weight);
  call.bias = floats_of(bias);
  call.out = out.mutable_data_ptr();
  expect_started(kernels_->pointwise(call, stream_of(x)));
  return out;
}

void FusedOperations::add_pointwise(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& sum) const {
  kernels::PointwiseCall call;
  call.number = number_of(body_);
  call.map = map_of(x);
  call.in_channels = channels_of(x);
  call.out_channels = channels_of(sum);
  call.in = data_of(x);
  call.weight = data_of(weight);
  call.weight_per_picture = weight.dim() == 3;
  call.residual = data_of(sum);
  call.out = sum.mutable_data_ptr();
  expect_started(kernels_->pointwise(call, stream_of(x)));
}

at::Tensor FusedOperations::expand(const FeedForward& part, const at::Tensor& x) const {
  if (!part.scale.defined()) return pointwise(x, part.expand, part.bias, part.norm);
  const at::Tensor out = empty_like(x, part.expand.size(0));
  kernels::PointwiseBytesCall call;
  call.number = number_of(body_);
  call.map = map_of(x);
  call.in_channels = channels_of(x);
  call.out_channels = channels_of(out);
  call.norm = part.norm;
  call.in = data_of(x);
  call.weight = part.expand.const_data_ptr<std::int8_t>();
  call.scale = floats_of(part.scale);
  call.bias = floats_of(part.bias);
  call.out = out.mutable_data_ptr();
  expect_started(kernels_->pointwise_bytes(call, stream_of(x)));
  return out;
}

void FusedOperations::attend(const Attention& attention, const at::Tensor& x) const {
  const std::int64_t channels = x.size(3);
  const std::int64_t heads = attention.temperature.size(0);
  const std::int64_t width = channels / heads;
  const kernels::Map map = map_of(x);
  const int slots = kernels::slots_for(map, kernels_->multiprocessors(), kGramTile);
  const auto fp32 = x.options().dtype(at::kFloat);
  const at::Tensor gram = at::empty({x.size(0), slots, heads, width, width}, fp32);
  const at::Tensor squares = at::empty({x.size(0), slots, 2 * channels}, fp32);
  const kernels::GramSums sums{slots, gram.mutable_data_ptr<float>(), squares.mutable_data_ptr<float>()};
  const at::Tensor v = empty_like(x, channels);

  if (keeps_on_chip(kernels::OnChip::kQkvGram, channels)) {
    kernels::QkvGramCall call;
    call.number = number_of(body_);
    call.map = map;
    call.channels = static_cast<int>(channels);
    call.heads = static_cast<int>(heads);
    call.norm = attention.norm;
    call.in = data_of(x);
    call.weight = data_of(attention.qkv);
    call.bias = floats_of(attention.bias);
    call.depthwise = data_of(attention.depthwise);
    call.v = v.mutable_data_ptr();
    call.sums = sums;
    expect_started(kernels_->qkv_gram(call, stream_of(x)));
  } else {
    const at::Tensor qkv = pointwise(x, attention.qkv, attention.bias, attention.norm);
    kernels::DepthwiseGramCall call;
    call.number = number_of(body_);
    call.map = map;
    call.channels = static_cast<int>(channels);
    call.heads = static_cast<int>(heads);
    call.qkv = data_of(qkv);
    call.weight = data_of(attention.depthwise);
    call.v = v.mutable_data_ptr();
    call.sums = sums;
    expect_started(kernels_->depthwise_gram(call, stream_of(x)));
  }

  const at::Tensor mixing = at::empty({x.size(0), channels, channels}, x.options());
  kernels::MixingCall call;
  call.number = number_of(body_);
  call.pictures = map.pictures;
  call.channels = static_cast<int>(channels);
  call.heads = static_cast<int>(heads);
  call.sums = sums;
  call.temperature = floats_of(attention.temperature);
  call.project = floats_of(attention.project);
  call.mixing = mixing.mutable_data_ptr();
  expect_started(kernels_->mixing(call, stream_of(x)));
  add_pointwise(v, mixing, x);
}

at::Tensor FusedOperations::feed_forward(const FeedForward& part, const at::Tensor& x) const {
  if (!keeps_on_chip(kernels::OnChip::kFeedForward, x.size(3))) {
    const at::Tensor hidden = depthwise_gate(*kernels_, expand(part, x), part.depthwise, {}, kernels::Gate::kGelu);
    add_pointwise(hidden, part.contract, x);
    return x;
  }
  const at::Tensor out = empty_like(x, x.size(3));
  kernels::FeedForwardCall call;
  call.number = number_of(body_);
  call.map = map_of(x);
  call.channels = channels_of(x);
  call.hidden = channels_of(part.contract);
  call.norm = part.norm;
  call.in = data_of(x);
  call.expand = data_of(part.expand);
  call.expand_scale = floats_of(part.scale);
  call.bias = floats_of(part.bias);
  call.depthwise = data_of(part.depthwise);
  call.contract = data_of(part.contract);
  call.out = out.mutable_data_ptr();
  expect_started(kernels_->feed_forward(call, stream_of(x)));
  return out;
}

}  // namespace retouchd::inference
