#include "inference/student_tiny.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <string>
#include <utility>
#include <vector>

#include "inference/layers.h"

namespace retouchd::inference {
namespace {

constexpr double kNormEpsilon = 1e-6;

/// First half of the channels times the second half.
at::Tensor gate(const at::Tensor& x) {
  const auto halves = x.chunk(2, -1);
  return halves[0] * halves[1];
}

class Block {
 public:
  Block(WeightReader& weights, const std::string& name, std::int64_t channels)
      : channels_(channels),
        norm1_weight_(weights.take(name + ".norm1.weight", {channels})),
        norm1_bias_(weights.take(name + ".norm1.bias", {channels})),
        norm2_weight_(weights.take(name + ".norm2.weight", {channels})),
        norm2_bias_(weights.take(name + ".norm2.bias", {channels})),
        expand1_(take_pointwise(weights, name + ".conv1", channels, 2 * channels)),
        depthwise_(take_convolution(weights, name + ".conv2", {2 * channels, 2 * channels, 3, 1, 2 * channels})),
        project1_(take_pointwise(weights, name + ".conv3", channels, channels)),
        expand2_(take_pointwise(weights, name + ".conv4", channels, 2 * channels)),
        project2_(take_pointwise(weights, name + ".conv5", channels, channels)) {
    // The residual scales are folded into the projections before them.
    fold(project1_, weights.take(name + ".beta", {1, channels, 1, 1}));
    fold(project2_, weights.take(name + ".gamma", {1, channels, 1, 1}));
  }

  /// Works in place on `x`, which the caller hands over.
  at::Tensor operator()(at::Tensor x) const {
    x += project1_(gate(depthwise_(expand1_(at::layer_norm(x, {channels_}, norm1_weight_, norm1_bias_, kNormEpsilon)))));
    x += project2_(gate(expand2_(at::layer_norm(x, {channels_}, norm2_weight_, norm2_bias_, kNormEpsilon))));
    return x;
  }

 private:
  void fold(Pointwise& layer, const at::Tensor& scale) const {
    layer.weight = (layer.weight * scale.view({channels_, 1})).contiguous();
    layer.bias = layer.bias * scale.view({channels_});
  }

  std::int64_t channels_;
  at::Tensor norm1_weight_, norm1_bias_, norm2_weight_, norm2_bias_;
  Pointwise expand1_;
  Convolution depthwise_;
  Pointwise project1_, expand2_, project2_;
};

std::vector<Block> take_blocks(WeightReader& weights, const std::string& name, std::int64_t channels, int expected) {
  const int count = weights.count(name);
  if (expected >= 0 && count != expected)
    throw BadWeights("`" + name + "` has " + std::to_string(count) + " blocks, its encoder has " + std::to_string(expected));
  std::vector<Block> blocks;
  blocks.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) blocks.emplace_back(weights, name + "." + std::to_string(i), channels);
  return blocks;
}

at::Tensor run(const std::vector<Block>& blocks, at::Tensor x) {
  for (const Block& block : blocks) x = block(std::move(x));
  return x;
}

class StudentTiny final : public TorchNetwork {
 public:
  explicit StudentTiny(WeightReader& weights) : StudentTiny(weights, width_of(weights)) {}

  at::Tensor forward(const at::Tensor& pictures) const override {
    const at::Tensor first = run(encoder1_, intro_(pixel_unshuffle(pictures, 2)));
    const at::Tensor second = run(encoder2_, down1_(first));
    at::Tensor x = run(middle_, down2_(second));
    x = run(decoder2_, pixel_shuffle(up2_(x), 2).add_(second));
    x = run(decoder1_, pixel_shuffle(up1_(x), 2).add_(first));
    return pixel_shuffle(ending_(x), 2).add_(pictures);
  }

 private:
  static std::int64_t width_of(const WeightReader& weights) {
    const auto shape = weights.shape_of("intro.weight");
    if (shape.size() != 4 || shape[0] < 1 || shape[0] > 1024) throw BadWeights("tensor `intro.weight` has no sensible shape");
    return shape[0];
  }

  StudentTiny(WeightReader& weights, std::int64_t width)
      : intro_(take_convolution(weights, "intro", {12, width})),
        encoder1_(take_blocks(weights, "encoder1", width, -1)),
        down1_(take_convolution(weights, "down1", {width, 2 * width, 2, 2})),
        encoder2_(take_blocks(weights, "encoder2", 2 * width, -1)),
        down2_(take_convolution(weights, "down2", {2 * width, 4 * width, 2, 2})),
        middle_(take_blocks(weights, "middle", 4 * width, -1)),
        up2_(take_pointwise(weights, "up2", 4 * width, 8 * width, false)),
        decoder2_(take_blocks(weights, "decoder2", 2 * width, static_cast<int>(encoder2_.size()))),
        up1_(take_pointwise(weights, "up1", 2 * width, 4 * width, false)),
        decoder1_(take_blocks(weights, "decoder1", width, static_cast<int>(encoder1_.size()))),
        ending_(take_convolution(weights, "ending", {width, 12})) {}

  Convolution intro_;
  std::vector<Block> encoder1_;
  Convolution down1_;
  std::vector<Block> encoder2_;
  Convolution down2_;
  std::vector<Block> middle_;
  Pointwise up2_;
  std::vector<Block> decoder2_;
  Pointwise up1_;
  std::vector<Block> decoder1_;
  Convolution ending_;
};

}  // namespace

std::unique_ptr<TorchNetwork> make_student_tiny(WeightReader& weights) { return std::make_unique<StudentTiny>(weights); }

}  // namespace retouchd::inference
