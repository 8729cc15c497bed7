#include "inference/drct/drct_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace retouchd::inference {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// The shapes that drct_config() reads, of networks of the published kind.
WeightHeader header_of(std::int64_t embed, int groups, const std::vector<std::int64_t>& heads, int scale) {
  WeightHeader header;
  const auto add = [&](const std::string& name, std::vector<std::int64_t> shape) {
    header.tensors[name] = {"F32", std::move(shape), 0, 0};
  };
  add("conv_first.weight", {embed, 3, 3, 3});
  add("patch_embed.norm.weight", {embed});
  for (int group = 0; group < groups; ++group) {
    for (std::int64_t stage = 0; stage < 5; ++stage) {
      const std::string number = std::to_string(stage + 1);
      const std::string name = "layers." + std::to_string(group) + ".swin" + number;
      const std::int64_t width = embed + 32 * stage;
      add(name + ".attn.relative_position_bias_table", {961, heads[static_cast<std::size_t>(stage)]});
      add(name + ".attn.qkv.weight", {3 * width, width});
      add(name + ".attn.qkv.bias", {3 * width});
      add(name + ".mlp.fc1.weight", {(stage < 3 ? 2 : 1) * width, width});
      add("layers." + std::to_string(group) + ".adjust" + number + ".weight", {stage < 4 ? 32 : embed, width, 1, 1});
    }
  }
  add("conv_after_body.weight", {embed, embed, 3, 3});
  add("conv_before_upsample.0.weight", {64, embed, 3, 3});
  if (scale > 1) add("upsample.0.weight", {scale == 3 ? 576 : 256, 64, 3, 3});
  if (scale > 3) add("upsample.2.weight", {256, 64, 3, 3});
  add("conv_last.weight", {3, 64, 3, 3});
  return header;
}

WeightHeader published() { return header_of(180, 6, {6, 4, 2, 6, 4}, 4); }

std::string reason_for_refusing(const WeightHeader& header) {
  const auto config = drct_config(header);
  EXPECT_FALSE(config);
  if (config) return {};
  EXPECT_EQ(config.error().code, ErrorCode::kBadWeights);
  return config.error().message;
}

TEST(DrctConfig, IsReadFromThePublishedShapes) {
  ASSERT_TRUE(is_drct(published()));
  const auto config = drct_config(published());
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->embed, 180);
  EXPECT_EQ(config->growth, 32);
  EXPECT_EQ(config->groups, 6);
  EXPECT_EQ(config->window, 16);
  EXPECT_EQ(config->multiple(), 16);
  EXPECT_THAT(config->heads, ElementsAre(6, 4, 2, 6, 4));
  EXPECT_THAT(config->hidden, ElementsAre(360, 424, 488, 276, 308));
  EXPECT_TRUE(config->qkv_bias);
  EXPECT_EQ(config->features, 64);
  EXPECT_EQ(config->scale, 4);
  EXPECT_EQ(describe(*config), "DRCT, 6 groups, embed 180, window 16");
}

TEST(DrctConfig, TheLargePublishedNetworkIsAccepted) {
  const auto config = drct_config(header_of(180, 12, {6, 4, 2, 6, 4}, 4));
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->groups, 12);
}

TEST(DrctConfig, KnowsTheScaleFromTheUpsampler) {
  for (const int scale : {1, 2, 3, 4}) {
    const auto config = drct_config(header_of(180, 2, {6, 4, 2, 6, 4}, scale));
    ASSERT_TRUE(config) << config.error().message;
    EXPECT_EQ(config->scale, scale);
  }
}

TEST(DrctConfig, OtherNetworksAreNotTakenForADrct) {
  WeightHeader header;
  EXPECT_FALSE(is_drct(header));
  header.tensors["conv_first.weight"] = {"F32", {180, 3, 3, 3}, 0, 0};
  header.tensors["layers.0.residual_group.blocks.0.attn.qkv.weight"] = {"F32", {540, 180}, 0, 0};
  header.tensors["conv_after_body.weight"] = {"F32", {180, 180, 3, 3}, 0, 0};
  EXPECT_FALSE(is_drct(header));
}

TEST(DrctConfig, AMissingTensorIsNamed) {
  auto header = published();
  header.tensors.erase("layers.0.swin4.mlp.fc1.weight");
  EXPECT_THAT(reason_for_refusing(header), HasSubstr("`layers.0.swin4.mlp.fc1.weight` is missing"));
}

TEST(DrctConfig, SizesThatMakeNoSenseAreRefusedByName) {
  const auto refusal = [](const std::string& name, std::vector<std::int64_t> shape) {
    auto header = published();
    header.tensors[name].shape = std::move(shape);
    const std::string reason = reason_for_refusing(header);
    EXPECT_THAT(reason, HasSubstr("`" + name + "`"));
    return reason;
  };
  const std::string table = "layers.0.swin1.attn.relative_position_bias_table";
  refusal("conv_first.weight", {1'000'000'000'000, 3, 3, 3});
  refusal("conv_first.weight", {0, 3, 3, 3});
  refusal("conv_first.weight", {-180, 3, 3, 3});
  refusal("conv_first.weight", {180});
  EXPECT_THAT(refusal("conv_first.weight", {180, 1, 3, 3}), HasSubstr("only RGB"));
  refusal(table, {960, 6});
  refusal(table, {1, 6});
  refusal(table, {10'000'000'000, 6});
  EXPECT_THAT(refusal(table, {961, 7}), HasSubstr("7 heads, which do not divide 180"));
  EXPECT_THAT(refusal("upsample.0.weight", {128, 64, 3, 3}), HasSubstr("128 outputs"));
  refusal("layers.0.swin1.mlp.fc1.weight", {1'000'000, 180});
  refusal("layers.0.adjust1.weight", {100'000, 180, 1, 1});
}

TEST(DrctConfig, TooManyGroupsAreRefused) {
  auto header = published();
  header.tensors["layers.999999999.adjust1.weight"] = {"F32", {32, 180, 1, 1}, 0, 0};
  EXPECT_THAT(reason_for_refusing(header), HasSubstr("`layers.999999999.adjust1.weight`"));
}

TEST(DrctConfig, TablesThatUnfoldToGigabytesAreRefused) {
  auto header = header_of(180, 32, {180, 212, 244, 276, 308}, 4);  // each head one channel
  EXPECT_THAT(reason_for_refusing(header), HasSubstr("too many heads or too large a window"));
}

}  // namespace
}  // namespace retouchd::inference
