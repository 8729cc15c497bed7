#include "inference/drct/drct_window_attention.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <cmath>
#include <tuple>
#include <utility>

namespace retouchd::inference {
namespace {

constexpr std::int64_t kMultiple = 8;

/// Pads dimension `dim`, the channels of one head, with zeros.
at::Tensor pad_heads(const at::Tensor& x, std::int64_t dim) {
  auto missing = x.sizes().vec();
  auto& channels = missing[static_cast<std::size_t>(dim)];
  channels = (kMultiple - channels % kMultiple) % kMultiple;
  return at::cat({x, at::zeros(missing, x.options())}, dim);
}

/// softmax(scale * q k^T + bias) v for [windows, heads, w*w, d]; bias [heads, w*w, w*w]. In bf16 and on a CPU, where this takes
/// two thirds of the time of LibTorch's fused attention (Zen 4). One window at a time, so that the scores stay in the cache.
at::Tensor attend_by_window(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& bias, double scale) {
  const at::Tensor result = at::empty({q.size(0), q.size(2), q.size(1), q.size(3)}, q.options()).transpose(1, 2);
  for (std::int64_t i = 0; i < q.size(0); ++i) {
    const at::Tensor scores = at::baddbmm(bias, q[i], k[i].transpose(1, 2), 1, scale);
    result[i].copy_(at::softmax(scores, -1).bmm(v[i]));
  }
  return result;
}

/// softmax(scale * q k^T + bias) v for [windows, heads, w*w, d] -> [windows, w*w, heads, d], contiguous; bias [heads, w*w, w*w].
at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& bias, double scale) {
  if (q.is_cpu() && q.scalar_type() == at::kBFloat16) return attend_by_window(q, k, v, bias, scale).transpose(1, 2);
  if (q.is_cuda() && bias.size(2) % kMultiple == 0) {
    // By name: scaled_dot_product_attention() chooses cuDNN's on Hopper and Blackwell, which builds a plan for each number of
    // windows, and where it finds no other an attention that writes all scores to memory.
    const at::Tensor same = bias.unsqueeze(0).expand({q.size(0), -1, -1, -1});
    return std::get<0>(at::_scaled_dot_product_efficient_attention(q, k, v, same, false, 0.0, false, scale)).transpose(1, 2);
  }
  return at::scaled_dot_product_attention(q, k, v, bias.unsqueeze(0), 0.0, false, scale).transpose(1, 2).contiguous();
}

}  // namespace

DrctWindowAttention::DrctWindowAttention(DrctStage& stage, const at::Tensor& masks, at::ScalarType type)
    : heads_(stage.position_bias.size(0)),
      qkv_(std::exchange(stage.qkv, {})),
      out_(std::exchange(stage.attention_out, {})),
      bias_(std::exchange(stage.position_bias, {}).unsqueeze(0)) {
  const std::int64_t width = out_.weight.size(0);
  const std::int64_t channels = width / heads_;
  scale_ = 1.0 / std::sqrt(static_cast<double>(channels));
  qkv_.weight = pad_heads(qkv_.weight.view({3, heads_, channels, width}), 2).view({-1, width});
  if (qkv_.bias.defined()) qkv_.bias = pad_heads(qkv_.bias.view({3, heads_, channels}), 2).flatten();
  out_.weight = pad_heads(out_.weight.view({width, heads_, channels}), 2).view({width, -1});
  if (masks.defined()) bias_ = bias_ + masks.to(bias_.device()).unsqueeze(1);
  qkv_.to(type);
  out_.to(type);
  bias_ = bias_.to(type).contiguous();
}

at::Tensor DrctWindowAttention::operator()(const at::Tensor& x, std::span<const WindowRun> runs) const {
  const at::Tensor projected = qkv_(x);
  // [3, windows, heads, w*w, d]
  const at::Tensor parts = projected.view({x.size(0), x.size(1), 3, heads_, -1}).permute({2, 0, 3, 1, 4});
  const at::Tensor result = at::empty(x.sizes(), x.options());
  for (const WindowRun& run : runs) {
    const at::Tensor part = parts.narrow(1, run.begin, run.end - run.begin);
    const at::Tensor mixed = attend(part[0], part[1], part[2], bias_[static_cast<std::int64_t>(run.kind)], scale_);
    at::Tensor out = result.narrow(0, run.begin, run.end - run.begin).flatten(0, 1);
    at::addmm_out(out, out_.bias, mixed.view({out.size(0), -1}), out_.weight.t());
  }
  return result;
}

}  // namespace retouchd::inference
