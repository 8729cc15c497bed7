#include "inference/restormer/restormer_weights.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <string>
#include <utility>

namespace retouchd::inference {
namespace {

constexpr std::array kEncoders{"encoder_level1", "encoder_level2", "encoder_level3", "latent"};
constexpr std::array kDecoders{"decoder_level1", "decoder_level2", "decoder_level3"};
constexpr std::array kDowns{"down1_2.body.0", "down2_3.body.0", "down3_4.body.0"};
constexpr std::array kUps{"up2_1.body.0", "up3_2.body.0", "up4_3.body.0"};

/// [(2 * side - 1)^2, heads] by offset -> [heads, side^2, side^2] by pair of pixels.
at::Tensor bias_of_pairs(const at::Tensor& table, std::int64_t side) {
  const at::Tensor pixel = at::arange(side * side, table.options().dtype(at::kLong));
  const at::Tensor row = pixel.div(side, "floor");
  const at::Tensor column = pixel.remainder(side);
  const auto offset = [side](const at::Tensor& position) { return position.unsqueeze(1) - position.unsqueeze(0) + (side - 1); };
  const at::Tensor index = offset(row) * (2 * side - 1) + offset(column);
  return table.index_select(0, index.flatten()).t().reshape({table.size(1), side * side, side * side}).contiguous();
}

/// Takes the blocks of one width.
class BlockReader {
 public:
  BlockReader(WeightReader& weights, const RestormerConfig& config, int level, std::int64_t heads)
      : weights_(weights),
        config_(config),
        width_(config.width(level)),
        heads_(heads),
        hidden_(config.hidden[static_cast<std::size_t>(level)]) {}

  std::vector<RestormerBlock> take(const std::string& stage, int count) {
    std::vector<RestormerBlock> blocks;
    for (int i = 0; i < count; ++i) blocks.push_back(block(stage + "." + std::to_string(i)));
    return blocks;
  }

 private:
  RestormerBlock block(const std::string& name) {
    RestormerBlock block;
    block.norm1 = norm(name + ".norm1.body");
    block.temperature = weights_.take(name + ".attn.temperature", {heads_, 1, 1}).view({heads_});
    if (config_.spatial_windows) {
      constexpr std::int64_t kOffsets = 2 * kSpatialWindow - 1;
      block.position_bias = bias_of_pairs(
          weights_.take(name + ".attn.relative_position_bias_table", {kOffsets * kOffsets, heads_}), kSpatialWindow);
    }
    block.qkv = take_pointwise(weights_, name + ".attn.qkv", width_, 3 * width_, config_.bias);
    block.qkv_depthwise = depthwise(name + ".attn.qkv_dwconv", 3 * width_);
    block.attention_out = take_pointwise(weights_, name + ".attn.project_out", width_, width_, config_.bias);
    block.norm2 = norm(name + ".norm2.body");
    block.expand = take_pointwise(weights_, name + ".ffn.project_in", width_, 2 * hidden_, config_.bias);
    block.expand_depthwise = depthwise(name + ".ffn.dwconv", 2 * hidden_);
    block.contract = take_pointwise(weights_, name + ".ffn.project_out", hidden_, width_, config_.bias);
    return block;
  }

  RestormerBlock::Norm norm(const std::string& name) {
    RestormerBlock::Norm norm;
    norm.weight = weights_.take(name + ".weight", {width_});
    if (config_.norm == RestormerConfig::Norm::kWithBias) norm.bias = weights_.take(name + ".bias", {width_});
    return norm;
  }

  Convolution depthwise(const std::string& name, std::int64_t channels) {
    return take_convolution(weights_, name, {channels, channels, 3, 1, channels, config_.bias});
  }

  WeightReader& weights_;
  const RestormerConfig& config_;
  std::int64_t width_;
  std::int64_t heads_;
  std::int64_t hidden_;
};

}  // namespace

RestormerWeights take_restormer(WeightReader& weights, const RestormerConfig& config) {
  const auto blocks = [&](const char* stage, int count, int level, std::int64_t heads) {
    return BlockReader(weights, config, level, heads).take(stage, count);
  };
  // The first convolution and those of the resampling never have biases.
  const auto convolution = [&](const char* name, std::int64_t in, std::int64_t out, bool with_bias) {
    return take_convolution(weights, name, {in, out, 3, 1, 1, with_bias});
  };
  RestormerWeights taken;
  taken.patch_embed = convolution("patch_embed.proj", config.in_channels, config.dim, false);
  for (std::size_t i = 0; i < 4; ++i) {
    const int level = static_cast<int>(i);
    const std::int64_t width = config.width(level);
    taken.encoders[i] = blocks(kEncoders[i], config.blocks[i], level, config.heads[i]);
    if (i == 3) break;
    taken.downs[i] = convolution(kDowns[i], width, width / 2, false);
    taken.ups[i] = convolution(kUps[i], 2 * width, 4 * width, false);
    // Nothing reduces what comes together on level 1.
    taken.decoders[i] = blocks(kDecoders[i], config.blocks[i], i == 0 ? 1 : level, config.heads[i]);
  }
  taken.reductions[1] = take_pointwise(weights, "reduce_chan_level2", config.width(2), config.width(1), config.bias);
  taken.reductions[2] = take_pointwise(weights, "reduce_chan_level3", config.width(3), config.width(2), config.bias);
  taken.refinement = blocks("refinement", config.refinement, 1, config.heads[0]);
  if (config.dual_pixel) taken.skip = take_pointwise(weights, "skip_conv", config.dim, config.width(1), config.bias);
  taken.output = convolution("output", config.width(1), config.out_channels, config.bias);
  return taken;
}

}  // namespace retouchd::inference
