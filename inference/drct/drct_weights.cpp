#include "inference/drct/drct_weights.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

namespace retouchd::inference {
namespace {

constexpr double kNormEpsilon = 1e-5;

DrctNorm take_norm(WeightReader& weights, const std::string& name, std::int64_t channels) {
  return {weights.take(name + ".weight", {channels}), weights.take(name + ".bias", {channels})};
}

Pointwise take_linear(WeightReader& weights, const std::string& name, std::int64_t in, std::int64_t out, bool with_bias = true) {
  Pointwise layer;
  layer.weight = weights.take(name + ".weight", {out, in});
  if (with_bias) layer.bias = weights.take(name + ".bias", {out});
  return layer;
}

class StageReader {
 public:
  StageReader(WeightReader& weights, const DrctConfig& config)
      : weights_(weights), config_(config), positions_(drct_relative_positions(config.window)) {}

  DrctStage take(const std::string& group, std::size_t stage) {
    const std::string number = std::to_string(stage + 1);
    const std::string name = group + ".swin" + number;
    const std::int64_t width = config_.width(stage);
    const std::int64_t hidden = config_.hidden[stage];
    const bool last = stage + 1 == DrctConfig::kStages;
    weights_.ignore(name + ".attn_mask");
    return {take_norm(weights_, name + ".norm1", width),
            take_position_bias(name + ".attn", config_.heads[stage]),
            take_linear(weights_, name + ".attn.qkv", width, 3 * width, config_.qkv_bias),
            take_linear(weights_, name + ".attn.proj", width, width),
            take_norm(weights_, name + ".norm2", width),
            take_linear(weights_, name + ".mlp.fc1", width, hidden),
            take_linear(weights_, name + ".mlp.fc2", hidden, width),
            take_pointwise(weights_, group + ".adjust" + number, width, last ? config_.embed : config_.growth)};
  }

 private:
  at::Tensor take_position_bias(const std::string& name, std::int64_t heads) {
    const std::int64_t span = 2 * config_.window - 1;
    const std::int64_t area = config_.window * config_.window;
    const std::string index = name + ".relative_position_index";
    if (weights_.has(index) && !weights_.take_integers(index, {area, area}).equal(positions_))
      throw BadWeights("tensor `" + index + "` is not the index of relative positions in a window");
    const at::Tensor table = weights_.take(name + ".relative_position_bias_table", {span * span, heads});
    return table.t().index_select(1, positions_.flatten().to(table.device())).view({heads, area, area});
  }

  WeightReader& weights_;
  const DrctConfig& config_;
  at::Tensor positions_;
};

}  // namespace

at::Tensor DrctNorm::operator()(const at::Tensor& x) const {
  return at::layer_norm(x, weight.sizes(), weight, bias, kNormEpsilon);
}

at::Tensor drct_mean(const at::Device& device) {
  constexpr std::array<float, 3> kMean{0.4488F, 0.4371F, 0.4040F};
  return at::tensor(at::ArrayRef<float>(kMean)).to(device);
}

at::Tensor drct_relative_positions(int window) {
  const at::Tensor pixels = at::arange(window * window, at::kLong);
  const at::Tensor y = pixels.floor_divide(window);
  const at::Tensor x = pixels.remainder(window);
  const at::Tensor dy = y.unsqueeze(1) - y.unsqueeze(0);
  const at::Tensor dx = x.unsqueeze(1) - x.unsqueeze(0);
  return (dy + (window - 1)) * (2 * window - 1) + (dx + (window - 1));
}

DrctWeights take_drct(WeightReader& weights, const DrctConfig& config) {
  DrctWeights network;
  network.first = take_convolution(weights, "conv_first", {3, config.embed});
  network.first_norm = take_norm(weights, "patch_embed.norm", config.embed);
  StageReader stages(weights, config);
  for (int i = 0; i < config.groups; ++i) {
    DrctGroup& group = network.groups.emplace_back();
    for (std::size_t stage = 0; stage < group.size(); ++stage) group[stage] = stages.take("layers." + std::to_string(i), stage);
  }
  network.body_norm = take_norm(weights, "norm", config.embed);
  network.after_body = take_convolution(weights, "conv_after_body", {config.embed, config.embed});
  network.before_upsample = take_convolution(weights, "conv_before_upsample.0", {config.embed, config.features});
  const std::int64_t fan = config.enlargement() * config.enlargement() * config.features;
  for (int i = 0; i < config.enlargements(); ++i)
    network.upsample.push_back(take_convolution(weights, "upsample." + std::to_string(2 * i), {config.features, fan}));
  network.last = take_convolution(weights, "conv_last", {config.features, 3});
  return network;
}

}  // namespace retouchd::inference
