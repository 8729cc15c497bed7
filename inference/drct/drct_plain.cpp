#include "inference/drct/drct_plain.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <cmath>
#include <utility>

namespace retouchd::inference {
namespace {

/// [N, H, W, C] -> [N * windows, w*w, C]
at::Tensor to_windows(const at::Tensor& x, std::int64_t window) {
  const auto rows = x.size(1) / window;
  const auto columns = x.size(2) / window;
  return x.reshape({x.size(0), rows, window, columns, window, x.size(3)})
      .permute({0, 1, 3, 2, 4, 5})
      .reshape({-1, window * window, x.size(3)});
}

/// The map like `x` that to_windows() made `windows` of.
at::Tensor from_windows(const at::Tensor& windows, const at::Tensor& x, std::int64_t window) {
  const auto rows = x.size(1) / window;
  const auto columns = x.size(2) / window;
  return windows.view({x.size(0), rows, columns, window, window, x.size(3)}).permute({0, 1, 3, 2, 4, 5}).reshape(x.sizes());
}

/// [windows of one picture, 1, w*w, w*w] for maps like `x` rolled by `shift`.
at::Tensor mask_for(const at::Tensor& x, std::int64_t window, std::int64_t shift) {
  // Each side falls into three: whole windows, the part of the last window before the seam, and what was rolled behind it.
  const auto part_of = [&](std::int64_t side) {
    const at::Tensor place = at::arange(side, x.options());
    return place.ge(side - window).to(at::kFloat) + place.ge(side - shift).to(at::kFloat);
  };
  const at::Tensor part = 3 * part_of(x.size(1)).unsqueeze(1) + part_of(x.size(2)).unsqueeze(0);
  const at::Tensor parts = to_windows(part.view({1, x.size(1), x.size(2), 1}), window).squeeze(-1);
  return parts.unsqueeze(1).ne(parts.unsqueeze(2)).to(at::kFloat).mul(-100).unsqueeze(1);
}

class PlainDrct final : public TorchNetwork {
 public:
  PlainDrct(DrctWeights weights, const DrctConfig& config)
      : weights_(std::move(weights)), config_(config), mean_(drct_mean(weights_.first.weight.device())) {}

  at::Tensor forward(const at::Tensor& pictures) const override {
    const at::Tensor first = weights_.first(pictures - mean_);
    at::Tensor x = weights_.first_norm(first);
    for (const DrctGroup& group : weights_.groups) x = run(group, x);
    x = weights_.after_body(weights_.body_norm(x)) + first;
    x = at::leaky_relu(weights_.before_upsample(x), 0.01);
    for (const Convolution& enlarge : weights_.upsample) x = pixel_shuffle(enlarge(x), config_.enlargement());
    return weights_.last(x) + mean_;
  }

 private:
  at::Tensor run(const DrctGroup& group, const at::Tensor& x) const {
    at::Tensor all = x;
    for (std::size_t i = 0; i + 1 < group.size(); ++i)
      all = at::cat({all, at::leaky_relu(group[i].adjust(run(group[i], i, all)), 0.2)}, -1);
    return group.back().adjust(run(group.back(), group.size() - 1, all)) * 0.2 + x;
  }

  at::Tensor run(const DrctStage& stage, std::size_t number, const at::Tensor& input) const {
    const at::Tensor x = input + attention(stage, number, stage.norm1(input));
    return x + stage.contract(at::gelu(stage.expand(stage.norm2(x))));
  }

  at::Tensor attention(const DrctStage& stage, std::size_t number, const at::Tensor& x) const {
    const int shift = config_.shift(number);
    const at::Tensor rolled = shift > 0 ? at::roll(x, {-shift, -shift}, {1, 2}) : x;
    const at::Tensor windows = to_windows(rolled, config_.window);
    const std::int64_t heads = config_.heads[number];
    const std::int64_t channels = x.size(3) / heads;
    // [3, windows, heads, w*w, channels]
    const at::Tensor parts =
        stage.qkv(windows).view({windows.size(0), windows.size(1), 3, heads, channels}).permute({2, 0, 3, 1, 4});
    const at::Tensor scaled = parts[0] * (1.0 / std::sqrt(static_cast<double>(channels)));
    at::Tensor logits = scaled.matmul(parts[1].transpose(-2, -1)) + stage.position_bias;
    if (shift > 0) {
      const at::Tensor mask = mask_for(x, config_.window, shift);
      logits = (logits.view({x.size(0), -1, heads, logits.size(2), logits.size(3)}) + mask).view(logits.sizes());
    }
    const at::Tensor mixed = logits.softmax(-1).matmul(parts[2]).transpose(1, 2).reshape(windows.sizes());
    const at::Tensor merged = from_windows(stage.attention_out(mixed), x, config_.window);
    return shift > 0 ? at::roll(merged, {shift, shift}, {1, 2}) : merged;
  }

  DrctWeights weights_;
  DrctConfig config_;
  at::Tensor mean_;
};

}  // namespace

std::unique_ptr<TorchNetwork> make_plain_drct(DrctWeights weights, const DrctConfig& config) {
  return std::make_unique<PlainDrct>(std::move(weights), config);
}

}  // namespace retouchd::inference
