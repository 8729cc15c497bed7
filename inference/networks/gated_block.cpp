#include "inference/networks/gated_block.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <utility>

namespace retouchd::inference {
namespace {

constexpr double kNormEpsilon = 1e-6;

/// Folds the scale of a residual into the projection before it.
void fold(Pointwise& layer, const at::Tensor& scale) {
  layer.weight = (layer.weight * scale.view({-1, 1})).contiguous();
  layer.bias = layer.bias * scale.view({-1});
}

}  // namespace

GatedBlock::GatedBlock(WeightReader& weights, const std::string& name, std::int64_t channels)
    : channels_(channels),
      norm1_weight_(weights.take(name + ".norm1.weight", {channels})),
      norm1_bias_(weights.take(name + ".norm1.bias", {channels})),
      norm2_weight_(weights.take(name + ".norm2.weight", {channels})),
      norm2_bias_(weights.take(name + ".norm2.bias", {channels})),
      expand1_(take_pointwise(weights, name + ".conv1", channels, 2 * channels)),
      depthwise_gate_(take_convolution(weights, name + ".conv2", {2 * channels, 2 * channels, 3, 1, 2 * channels})),
      project1_(take_pointwise(weights, name + ".conv3", channels, channels)),
      expand2_(take_pointwise(weights, name + ".conv4", channels, 2 * channels)),
      project2_(take_pointwise(weights, name + ".conv5", channels, channels)) {
  fold(project1_, weights.take(name + ".beta", {1, channels, 1, 1}));
  fold(project2_, weights.take(name + ".gamma", {1, channels, 1, 1}));
}

void GatedBlock::prepare(at::ScalarType type, const kernels::KernelSet* kernels) {
  for (at::Tensor* part : {&norm1_weight_, &norm1_bias_, &norm2_weight_, &norm2_bias_}) *part = part->to(type);
  for (Pointwise* layer : {&expand1_, &project1_, &expand2_, &project2_}) layer->to(type);
  depthwise_gate_.prepare(type, kernels);
}

at::Tensor GatedBlock::operator()(at::Tensor x) const {
  x += project1_(depthwise_gate_(expand1_(at::layer_norm(x, {channels_}, norm1_weight_, norm1_bias_, kNormEpsilon))));
  x += project2_(gate(expand2_(at::layer_norm(x, {channels_}, norm2_weight_, norm2_bias_, kNormEpsilon))));
  return x;
}

std::vector<GatedBlock> take_gated_blocks(WeightReader& weights, const std::string& name, std::int64_t channels, int expected) {
  const int count = weights.count(name);
  if (expected >= 0 && count != expected)
    throw BadWeights("`" + name + "` has " + std::to_string(count) + " blocks, its encoder has " + std::to_string(expected));
  std::vector<GatedBlock> blocks;
  blocks.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) blocks.emplace_back(weights, name + "." + std::to_string(i), channels);
  return blocks;
}

at::Tensor run(const std::vector<GatedBlock>& blocks, at::Tensor x) {
  for (const GatedBlock& block : blocks) x = block(std::move(x));
  return x;
}

}  // namespace retouchd::inference
