#include "inference/restormer/strip_operations.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <utility>

#include "inference/restormer/vector_kernels.h"

namespace retouchd::inference {
namespace {

constexpr double kNormEpsilon = 1e-5;

using vector_kernels::Bfloat16;
using vector_kernels::DepthwiseInput;

bool is_plain_memory(const at::Tensor& x) { return x.is_cpu() && x.is_contiguous(); }
bool is_fp32(const at::Tensor& x) { return x.scalar_type() == at::kFloat; }
bool is_bf16(const at::Tensor& x) { return x.scalar_type() == at::kBFloat16; }

template <class T>
T* data(const at::Tensor& x) {
  return static_cast<T*>(x.data_ptr());
}

const float* floats_or_null(const at::Tensor& x) { return x.defined() ? data<float>(x) : nullptr; }

template <class T>
DepthwiseInput<T> depthwise_input(const at::Tensor& strip, const DepthwiseWeights& weights) {
  return {data<T>(strip), strip.size(1) - 2,         strip.size(2),
          strip.size(3),  data<float>(weights.taps), floats_or_null(weights.bias)};
}

/// Whether vector kernels can convolve this strip into this result.
bool suits(const at::Tensor& strip, const at::Tensor& out) {
  return is_plain_memory(strip) && is_plain_memory(out) && strip.size(0) == 1 && out.size(3) >= vector_kernels::kLanes;
}

at::Tensor convolve(const at::Tensor& strip, const DepthwiseWeights& weights, std::int64_t from, std::int64_t channels) {
  const Convolution& convolution = weights.convolution;
  const at::Tensor bias = convolution.bias.defined() ? convolution.bias.narrow(0, from, channels) : at::Tensor();
  const at::Tensor part = to_nchw(strip.narrow(3, from, channels)).to(convolution.weight.scalar_type());
  return at::conv2d(part, convolution.weight.narrow(0, from, channels), bias, 1, at::IntArrayRef{0, 1}, 1, channels)
      .permute({0, 2, 3, 1});
}

}  // namespace

void normalize(const at::Tensor& x, bool centred, at::Tensor out) {
  const std::int64_t channels = x.size(-1);
  const std::int64_t pixels = x.numel() / channels;
  if (is_plain_memory(x) && is_plain_memory(out)) {
    const auto run = [&](auto* to) { vector_kernels::normalize(data<float>(x), to, pixels, channels, centred); };
    if (is_fp32(out)) return run(data<float>(out));
    if (is_bf16(out)) return run(data<Bfloat16>(out));
  }
  const auto [normal, mean, deviation] = at::native_layer_norm(x, {channels}, {}, {}, kNormEpsilon);
  out.copy_(centred ? normal : x * deviation);
}

DepthwiseWeights::DepthwiseWeights(Convolution fp32, at::ScalarType body)
    : taps(fp32.weight.reshape({fp32.weight.size(0), 9}).t().contiguous()), bias(fp32.bias), convolution(std::move(fp32)) {
  // LibTorch's depthwise convolutions in half precision are slow or missing on CPUs.
  if (!taps.is_cpu()) convolution.to(body);
}

void depthwise(const at::Tensor& strip, const DepthwiseWeights& weights, std::int64_t from, at::Tensor out) {
  if (suits(strip, out)) {
    const std::int64_t channels = out.size(3);
    if (is_fp32(strip) && is_fp32(out))
      return vector_kernels::depthwise(depthwise_input<float>(strip, weights), from, channels, data<float>(out));
    if (is_bf16(strip) && is_fp32(out))
      return vector_kernels::depthwise(depthwise_input<Bfloat16>(strip, weights), from, channels, data<float>(out));
    if (is_bf16(strip) && is_bf16(out))
      return vector_kernels::depthwise(depthwise_input<Bfloat16>(strip, weights), from, channels, data<Bfloat16>(out));
  }
  out.copy_(convolve(strip, weights, from, out.size(3)));
}

void depthwise_gate(const at::Tensor& strip, const DepthwiseWeights& weights, at::Tensor out) {
  if (suits(strip, out) && strip.scalar_type() == out.scalar_type()) {
    if (is_fp32(strip)) return vector_kernels::depthwise_gate(depthwise_input<float>(strip, weights), data<float>(out));
    if (is_bf16(strip)) return vector_kernels::depthwise_gate(depthwise_input<Bfloat16>(strip, weights), data<Bfloat16>(out));
  }
  const auto halves = convolve(strip, weights, 0, strip.size(3)).chunk(2, -1);
  out.copy_(at::gelu(halves[0]) * halves[1]);
}

void add_squares(const at::Tensor& x, at::Tensor sums) {
  if (is_plain_memory(x) && is_plain_memory(sums)) {
    return vector_kernels::add_squares(data<float>(x), x.numel() / x.size(-1), x.size(-1), data<float>(sums));
  }
  sums += x.square().flatten(0, -2).sum(0);
}

void add_strip(at::Tensor x, const at::Tensor& y) {
  if (is_plain_memory(x) && is_plain_memory(y) && is_bf16(y)) {
    vector_kernels::add(data<float>(x), data<Bfloat16>(y), x.numel());
  } else {
    x.add_(y);
  }
}

void quantize(const at::Tensor& x, at::Tensor out, at::Tensor scales) {
  const std::int64_t channels = x.size(-1);
  if (is_plain_memory(x) && is_bf16(x)) {
    return vector_kernels::quantize(data<Bfloat16>(x), data<std::int8_t>(out), data<float>(scales), x.numel() / channels,
                                    channels);
  }
  const at::Tensor values = x.reshape({-1, channels}).to(at::kFloat);
  scales.copy_(values.abs().amax(1).clamp_min(1e-30) / 127);
  out.copy_((values / scales.unsqueeze(1)).round().view(out.sizes()));
}

void dequantize(const at::Tensor& sums, const at::Tensor& pixel_scales, const at::Tensor& channel_scales, const at::Tensor& bias,
                at::Tensor out, bool accumulate) {
  if (is_plain_memory(sums) && is_plain_memory(out)) {
    const auto run = [&](auto* to) {
      vector_kernels::dequantize(data<std::int32_t>(sums), data<float>(pixel_scales), data<float>(channel_scales),
                                 floats_or_null(bias), to, sums.size(0), sums.size(1), accumulate);
    };
    if (is_fp32(out)) return run(data<float>(out));
    if (is_bf16(out)) return run(data<Bfloat16>(out));
  }
  at::Tensor values = sums.to(at::kFloat) * pixel_scales.unsqueeze(1) * channel_scales;
  if (bias.defined()) values += bias;
  values = values.view(out.sizes());
  if (accumulate) {
    out.add_(values);
  } else {
    out.copy_(values);
  }
}

}  // namespace retouchd::inference
