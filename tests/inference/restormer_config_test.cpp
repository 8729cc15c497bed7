#include "inference/restormer/restormer_config.h"

#include <gmock/gmock.h>

#include "restormer_files.h"

namespace retouchd::inference {
namespace {

WeightHeader header_of(const RestormerConfig& config) { return random_restormer(config).header; }

std::string refusal(const WeightHeader& header) {
  const auto config = restormer_config(header);
  EXPECT_FALSE(config);
  if (config) return "";
  EXPECT_EQ(config.error().code, ErrorCode::kBadWeights);
  return config.error().message;
}

TEST(RestormerConfig, IsReadFromShapesAlone) {
  RestormerConfig written = small_config();
  written.blocks = {1, 2, 1, 3};
  written.refinement = 2;
  written.hidden = {42, 85, 171, 340};  // no expansion factor gives these
  written.norm = RestormerConfig::Norm::kBiasFree;
  written.bias = true;
  const WeightHeader header = header_of(written);
  EXPECT_TRUE(is_restormer(header));
  const auto read = restormer_config(header);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->dim, 16);
  EXPECT_EQ(read->blocks, written.blocks);
  EXPECT_EQ(read->refinement, 2);
  EXPECT_EQ(read->heads, written.heads);
  EXPECT_EQ(read->hidden, written.hidden);
  EXPECT_EQ(read->norm, RestormerConfig::Norm::kBiasFree);
  EXPECT_TRUE(read->bias);
  EXPECT_FALSE(read->dual_pixel);
  EXPECT_EQ(read->multiple(), 8);
  EXPECT_EQ(describe(*read), "dim 16, blocks 1 2 1 3 + 2, BiasFree, biases");
}

TEST(RestormerConfig, KnowsDualPixelGrayAndSpatialWindows) {
  RestormerConfig dual = small_config();
  dual.in_channels = 6;
  dual.dual_pixel = true;
  EXPECT_EQ(describe(*restormer_config(header_of(dual))), "dim 16, blocks 1 1 1 1 + 1, WithBias, dual pixel");
  RestormerConfig gray = small_config();
  gray.in_channels = gray.out_channels = 1;
  EXPECT_EQ(describe(*restormer_config(header_of(gray))), "dim 16, blocks 1 1 1 1 + 1, WithBias, gray");
  RestormerConfig windows = small_config();
  windows.spatial_windows = true;
  const auto read = restormer_config(header_of(windows));
  EXPECT_EQ(describe(*read), "dim 16, blocks 1 1 1 1 + 1, WithBias, 8x8 windows");
  EXPECT_EQ(read->multiple(), 64);
}

TEST(RestormerConfig, OtherNetworksAreNotTakenForIt) {
  WeightHeader header = header_of(small_config());
  header.tensors.erase("down1_2.body.0.weight");
  EXPECT_FALSE(is_restormer(header));
  EXPECT_FALSE(is_restormer({}));
}

TEST(RestormerConfig, RefusalsNameTheTensor) {
  const WeightHeader whole = header_of(small_config());
  const auto with = [&](const std::string& name, std::vector<std::int64_t> shape) {
    WeightHeader header = whole;
    header.tensors[name].shape = std::move(shape);
    return refusal(header);
  };
  const auto without = [&](const std::string& name) {
    WeightHeader header = whole;
    header.tensors.erase(name);
    return refusal(header);
  };
  EXPECT_THAT(without("patch_embed.proj.weight"), testing::HasSubstr("`patch_embed.proj.weight` is missing"));
  EXPECT_THAT(without("latent.0.ffn.project_out.weight"), testing::HasSubstr("`latent.0.ffn.project_out.weight` is missing"));
  EXPECT_THAT(with("patch_embed.proj.weight", {1'000'000, 3, 3, 3}), testing::HasSubstr("patch_embed.proj.weight"));
  EXPECT_THAT(with("patch_embed.proj.weight", {0, 3, 3, 3}), testing::HasSubstr("patch_embed.proj.weight"));
  EXPECT_THAT(with("patch_embed.proj.weight", {16, 4, 3, 3}), testing::HasSubstr("takes 4 channels for 3"));
  EXPECT_THAT(with("patch_embed.proj.weight", {16}), testing::HasSubstr("1 dimensions, expected 4"));
  EXPECT_THAT(with("output.weight", {2, 32, 3, 3}), testing::HasSubstr("output.weight"));
  EXPECT_THAT(with("encoder_level2.0.attn.temperature", {3, 1, 1}), testing::HasSubstr("3 heads for 32 channels"));
  EXPECT_THAT(with("encoder_level3.0.ffn.project_out.weight", {64, 1'000'000, 1, 1}), testing::HasSubstr("encoder_level3.0.ffn"));
  EXPECT_THAT(with("decoder_level2.1.attn.qkv.weight", {1}),
              testing::HasSubstr("`decoder_level2` has 2 blocks, its encoder has 1"));
  EXPECT_THAT(with("latent.2000000000.attn.qkv.weight", {1}), testing::HasSubstr("latent.2000000000.attn.qkv.weight"));
  EXPECT_THAT(with("latent.99999999999999999999.x", {1}), testing::HasSubstr("latent.99999999999999999999.x"));
  EXPECT_THAT(with("latent.-1.x", {1}), testing::HasSubstr("latent.-1.x"));
}

}  // namespace
}  // namespace retouchd::inference
