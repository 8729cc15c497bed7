#include "inference/restormer/restormer_plain.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "inference/restormer/attention_windows.h"

namespace retouchd::inference {
namespace {

constexpr double kNormEpsilon = 1e-5;
constexpr double kLengthEpsilon = 1e-12;

at::Tensor normalize(const RestormerBlock::Norm& norm, const at::Tensor& x) {
  const at::Tensor mean = x.mean(-1, /*keepdim=*/true);
  const at::Tensor centred = x - mean;
  const at::Tensor variance = centred.square().mean(-1, /*keepdim=*/true);
  const at::Tensor deviation = (variance + kNormEpsilon).sqrt();
  if (norm.bias.defined()) return centred / deviation * norm.weight + norm.bias;
  return x / deviation * norm.weight;
}

at::Tensor unit_length(const at::Tensor& x) { return x / x.norm(2, {-1}, /*keepdim=*/true).clamp_min(kLengthEpsilon); }

/// [N, H, W, 3C] -> [N, H, W, C].
at::Tensor channel_attention(const RestormerBlock& block, const at::Tensor& qkv) {
  const std::int64_t heads = block.temperature.size(0);
  const std::int64_t channels = qkv.size(3) / 3 / heads;
  // [3, N, heads, C / heads, pixels]
  const at::Tensor parts = qkv.reshape({qkv.size(0), -1, 3, heads, channels}).permute({2, 0, 3, 4, 1});
  const at::Tensor logits =
      unit_length(parts[0]).matmul(unit_length(parts[1]).transpose(-2, -1)) * block.temperature.view({heads, 1, 1});
  const at::Tensor mixed = logits.softmax(-1).matmul(parts[2]);
  return mixed.permute({0, 3, 1, 2}).reshape({qkv.size(0), qkv.size(1), qkv.size(2), heads * channels});
}

at::Tensor part_of(const at::Tensor& map, const AttentionWindow& window) {
  return map.narrow(1, window.top, window.height).narrow(2, window.left, window.width);
}

at::Tensor local_attention(const RestormerBlock& block, const at::Tensor& qkv, std::int64_t side) {
  at::Tensor sum = at::zeros({qkv.size(0), qkv.size(1), qkv.size(2), qkv.size(3) / 3}, qkv.options());
  at::Tensor count = at::zeros({1, qkv.size(1), qkv.size(2), 1}, qkv.options());
  for (const AttentionWindow& window : attention_windows(qkv.size(1), qkv.size(2), side)) {
    part_of(sum, window).add_(channel_attention(block, part_of(qkv, window)));
    part_of(count, window).add_(1);
  }
  return sum / count;
}

at::Tensor spatial_attention(const RestormerBlock& block, const at::Tensor& qkv) {
  constexpr std::int64_t kSide = kSpatialWindow;
  const std::int64_t heads = block.temperature.size(0);
  const std::int64_t channels = qkv.size(3) / 3 / heads;
  const std::int64_t rows = qkv.size(1) / kSide;
  const std::int64_t columns = qkv.size(2) / kSide;
  // [3, N, rows, columns, heads, 64, C / heads]
  const at::Tensor parts = qkv.reshape({qkv.size(0), rows, kSide, columns, kSide, 3, heads, channels})
                               .permute({5, 0, 1, 3, 6, 2, 4, 7})
                               .reshape({3, qkv.size(0), rows, columns, heads, kSide * kSide, channels});
  const at::Tensor scale = block.temperature.view({heads, 1, 1}) / std::sqrt(static_cast<double>(channels));
  const at::Tensor logits = parts[0].matmul(parts[1].transpose(-2, -1)) * scale + block.position_bias;
  return logits.softmax(-1)
      .matmul(parts[2])
      .reshape({qkv.size(0), rows, columns, heads, kSide, kSide, channels})
      .permute({0, 1, 4, 2, 5, 3, 6})
      .reshape({qkv.size(0), qkv.size(1), qkv.size(2), heads * channels});
}

at::Tensor attention(const RestormerBlock& block, const at::Tensor& x, std::optional<std::int64_t> side) {
  const at::Tensor qkv = block.qkv_depthwise(block.qkv(x));
  if (block.position_bias.defined()) return block.attention_out(spatial_attention(block, qkv));
  return block.attention_out(side ? local_attention(block, qkv, *side) : channel_attention(block, qkv));
}

at::Tensor feed_forward(const RestormerBlock& block, const at::Tensor& x) {
  const auto halves = block.expand_depthwise(block.expand(x)).chunk(2, -1);
  return block.contract(at::gelu(halves[0]) * halves[1]);
}

class PlainRestormer final : public TorchNetwork {
 public:
  PlainRestormer(RestormerWeights weights, const RestormerConfig& config, std::optional<int> local_window)
      : weights_(std::move(weights)), config_(config), local_window_(local_window) {}

  at::Tensor forward(const at::Tensor& input) const override {
    const at::Tensor embedded = weights_.patch_embed(input);
    const at::Tensor first = run(weights_.encoders[0], embedded, 0);
    const at::Tensor second = run(weights_.encoders[1], down(0, first), 1);
    const at::Tensor third = run(weights_.encoders[2], down(1, second), 2);
    at::Tensor x = run(weights_.encoders[3], down(2, third), 3);
    x = run(weights_.decoders[2], weights_.reductions[2](at::cat({up(2, x), third}, -1)), 2);
    x = run(weights_.decoders[1], weights_.reductions[1](at::cat({up(1, x), second}, -1)), 1);
    x = run(weights_.decoders[0], at::cat({up(0, x), first}, -1), 0);
    x = run(weights_.refinement, x, 0);
    if (config_.dual_pixel) return weights_.output(x + weights_.skip(embedded));
    return weights_.output(x) + input;
  }

 private:
  at::Tensor run(const std::vector<RestormerBlock>& blocks, at::Tensor x, int level) const {
    const std::optional<std::int64_t> side = local_window_on(level);
    for (const RestormerBlock& block : blocks) {
      x = x + attention(block, normalize(block.norm1, x), side);
      x = x + feed_forward(block, normalize(block.norm2, x));
    }
    return x;
  }

  std::optional<std::int64_t> local_window_on(int level) const {
    if (!local_window_) return std::nullopt;
    return std::max<std::int64_t>(1, *local_window_ >> level);
  }

  at::Tensor down(std::size_t level, const at::Tensor& x) const { return pixel_unshuffle(weights_.downs[level](x), 2); }
  at::Tensor up(std::size_t level, const at::Tensor& x) const { return pixel_shuffle(weights_.ups[level](x), 2); }

  RestormerWeights weights_;
  RestormerConfig config_;
  std::optional<int> local_window_;
};

}  // namespace

std::unique_ptr<TorchNetwork> make_plain_restormer(RestormerWeights weights, const RestormerConfig& config,
                                                   std::optional<int> local_window) {
  return std::make_unique<PlainRestormer>(std::move(weights), config, local_window);
}

}  // namespace retouchd::inference
