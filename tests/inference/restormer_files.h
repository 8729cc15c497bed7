#pragma once

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "inference/restormer/restormer.h"
#include "inference/restormer/restormer_config.h"

namespace retouchd::inference {

/// A weight file in memory with random numbers in every tensor that a Restormer of this configuration has.
inline WeightFile random_restormer(const RestormerConfig& config, std::uint64_t seed = 1) {
  at::manual_seed(seed);
  WeightFile file;
  const auto put = [&](const std::string& name, const std::vector<std::int64_t>& shape, double mean, double deviation) {
    const at::Tensor numbers = (at::randn(shape) * deviation + mean).contiguous();
    const auto* bytes = static_cast<const std::uint8_t*>(numbers.data_ptr());
    const std::uint64_t begin = file.data.size();
    file.data.insert(file.data.end(), bytes, bytes + numbers.nbytes());
    file.header.tensors[name] = {"F32", shape, begin, file.data.size()};
  };
  const auto convolution = [&](const std::string& name, std::int64_t in, std::int64_t out, std::int64_t side, bool bias) {
    put(name + ".weight", {out, in, side, side}, 0, 0.6 / std::sqrt(static_cast<double>(in * side * side)));
    if (bias) put(name + ".bias", {out}, 0, 0.1);
  };
  const auto blocks = [&](const std::string& stage, int count, int level, std::int64_t heads) {
    const std::int64_t width = config.width(level);
    const std::int64_t hidden = config.hidden[static_cast<std::size_t>(level)];
    for (int i = 0; i < count; ++i) {
      const std::string name = stage + "." + std::to_string(i);
      for (const char* norm : {".norm1.body", ".norm2.body"}) {
        put(name + norm + ".weight", {width}, 1, 0.2);
        if (config.norm == RestormerConfig::Norm::kWithBias) put(name + norm + ".bias", {width}, 0, 0.2);
      }
      put(name + ".attn.temperature", {heads, 1, 1}, 1, 0.3);
      if (config.spatial_windows) put(name + ".attn.relative_position_bias_table", {225, heads}, 0, 1);
      convolution(name + ".attn.qkv", width, 3 * width, 1, config.bias);
      convolution(name + ".attn.qkv_dwconv", 1, 3 * width, 3, config.bias);
      convolution(name + ".attn.project_out", width, width, 1, config.bias);
      convolution(name + ".ffn.project_in", width, 2 * hidden, 1, config.bias);
      convolution(name + ".ffn.dwconv", 1, 2 * hidden, 3, config.bias);
      convolution(name + ".ffn.project_out", hidden, width, 1, config.bias);
    }
  };
  convolution("patch_embed.proj", config.in_channels, config.dim, 3, false);
  for (int level = 0; level < 4; ++level) {
    const std::string number = std::to_string(level + 1);
    const auto index = static_cast<std::size_t>(level);
    blocks(level < 3 ? "encoder_level" + number : "latent", config.blocks[index], level, config.heads[index]);
    if (level == 3) break;
    const std::string next = std::to_string(level + 2);
    convolution("down" + number + "_" + next + ".body.0", config.width(level), config.width(level) / 2, 3, false);
    convolution("up" + next + "_" + number + ".body.0", config.width(level + 1), config.width(level + 2), 3, false);
    blocks("decoder_level" + number, config.blocks[index], level == 0 ? 1 : level, config.heads[index]);
  }
  convolution("reduce_chan_level2", config.width(2), config.width(1), 1, config.bias);
  convolution("reduce_chan_level3", config.width(3), config.width(2), 1, config.bias);
  blocks("refinement", config.refinement, 1, config.heads[0]);
  if (config.dual_pixel) convolution("skip_conv", config.dim, config.width(1), 1, config.bias);
  convolution("output", config.width(1), config.out_channels, 3, config.bias);
  return file;
}

/// A configuration that is small and has every channel count that matters: hidden sizes that need padding, more heads than one.
inline RestormerConfig small_config() {
  RestormerConfig config;
  config.dim = 16;
  config.blocks = {1, 1, 1, 1};
  config.refinement = 1;
  config.heads = {1, 2, 4, 8};
  config.hidden = {42, 85, 170, 340};
  return config;
}

/// Builds the network as make_torch_network() does, without its checks.
inline std::unique_ptr<TorchNetwork> build(const WeightFile& file, const ForwardOptions& options,
                                           std::optional<int> local_window = std::nullopt) {
  const auto config = restormer_config(file.header);
  EXPECT_TRUE(config) << config.error().message;
  WeightReader reader(file, options.device);
  return make_restormer(reader, *config, options, local_window);
}

/// [N, H, W, C] in [0, 1]: soft shapes and some noise.
inline at::Tensor random_picture(std::int64_t batch, std::int64_t height, std::int64_t width, std::int64_t channels,
                                 std::uint64_t seed = 7) {
  at::manual_seed(seed);
  const at::Tensor coarse = at::rand({batch, channels, height / 8, width / 8});
  const at::Tensor smooth = at::upsample_bilinear2d(coarse, {height, width}, false);
  return (smooth + 0.05 * at::randn_like(smooth)).clamp(0, 1).permute({0, 2, 3, 1}).contiguous();
}

inline double largest_difference(const at::Tensor& a, const at::Tensor& b) { return (a - b).abs().max().item<double>(); }
inline double mean_difference(const at::Tensor& a, const at::Tensor& b) { return (a - b).abs().mean().item<double>(); }

}  // namespace retouchd::inference
