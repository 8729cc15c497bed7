#include "inference/registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "weight_files.h"

namespace retouchd::inference {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

Registry::Options looking_in(std::vector<fs::path> folders) { return {std::move(folders)}; }

const std::string kHeader =
    R"({"__metadata__":{"arch":"student-tiny","scale":"1","multiple":"8","receptive_field":"39","task":"denoise","license":"MIT"},)"
    R"("a":{"dtype":"U8","shape":[2,3],"data_offsets":[0,6]}})";

TEST(Registry, ListsTheBuiltInNetworkWithItsFacts) {
  const Registry registry(looking_in({fs::path(RETOUCHD_SOURCE_DIR) / "models"}));
  const auto found = registry.find("student-tiny");
  ASSERT_TRUE(found) << found.error().message;
  const NetworkInfo& network = *found;
  EXPECT_FALSE(registry.find("student-tiny.golden"));  // the tensors beside it are no network
  EXPECT_EQ(network.name, "student-tiny");
  EXPECT_EQ(network.scale, 1);
  EXPECT_EQ(network.multiple, 8);
  EXPECT_EQ(network.receptive_field, 39);
  EXPECT_EQ(network.halo(), 40);
  EXPECT_EQ(network.sha256.size(), 64U);
}

TEST(Registry, TheFirstFolderThatHoldsANameWins) {
  const WeightFolder first;
  const WeightFolder second;
  first.write_weights("mine.safetensors", kHeader, "123456");
  second.write_weights("mine.safetensors", kHeader, "abcdef");
  second.write_weights("other.safetensors", kHeader, "abcdef");
  const Registry registry(looking_in({first.path(), second.path()}));
  ASSERT_EQ(registry.contents()->networks.size(), 3U) << "with `identity`";
  EXPECT_EQ(registry.find("mine")->weights, first.path() / "mine.safetensors");
  EXPECT_EQ(registry.find("mine")->parameters, 6U);
  EXPECT_EQ(registry.find("other")->weights, second.path() / "other.safetensors");
}

TEST(Registry, ListsFilesThatCannotBeUsedWithTheReason) {
  const WeightFolder folder;
  folder.write_weights("foreign.safetensors", R"({"__metadata__":{"arch":"unheard-of"}})", "");
  folder.write_weights("broken.safetensors", "{", "");
  const Registry registry(looking_in({folder.path()}));
  EXPECT_EQ(registry.contents()->networks.size(), 1U) << "`identity` alone";
  ASSERT_EQ(registry.contents()->refused.size(), 2U);
  EXPECT_EQ(registry.contents()->refused[1].file, folder.path() / "foreign.safetensors");
  EXPECT_THAT(registry.contents()->refused[1].reason, HasSubstr("unheard-of"));
  const auto asked = registry.find("foreign");
  ASSERT_FALSE(asked);
  EXPECT_EQ(asked.error().code, ErrorCode::kBadWeights);
  EXPECT_THAT(asked.error().message, HasSubstr("unheard-of"));
}

TEST(Registry, AnUnknownNameIsRefusedWithTheKnownOnes) {
  const WeightFolder folder;
  folder.write_weights("mine.safetensors", kHeader, "123456");
  const auto found = Registry(looking_in({folder.path()})).find("yours");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, ErrorCode::kUnknownNetwork);
  EXPECT_THAT(found.error().message, HasSubstr("`yours`"));
  EXPECT_THAT(found.error().message, HasSubstr("mine"));
}

TEST(Registry, ALaterScanSeesWhatChanged) {
  const WeightFolder folder;
  folder.write_weights("mine.safetensors", kHeader, "123456");
  Registry registry(looking_in({folder.path()}));
  const auto before = registry.find("mine");
  ASSERT_TRUE(before);
  folder.write_weights("new.safetensors", kHeader, "654321");
  fs::remove(folder.path() / "mine.safetensors");
  folder.write_weights("mine.safetensors", kHeader, "abcdef");
  EXPECT_FALSE(registry.find("new"));
  registry.rescan();
  EXPECT_TRUE(registry.find("new"));
  const auto after = registry.find("mine");
  ASSERT_TRUE(after);
  EXPECT_NE(after->sha256, before->sha256);
  EXPECT_NE(after->id(), before->id());
}

TEST(Registry, AManifestAddsWhatIsNotInTheWeights) {
  const WeightFolder folder;
  folder.write_weights("mine.safetensors", kHeader, "123456");
  folder.write("mine.yaml", "task: dehaze\nlicense: CC0\n");
  const auto found = Registry(looking_in({folder.path()})).find("mine");
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(found->task, "dehaze");
  EXPECT_EQ(found->license, "CC0");
}

TEST(Registry, AManifestMayAskForSrgb) {
  const WeightFolder folder;
  folder.write_weights("mine.safetensors", kHeader, "123456");
  EXPECT_FALSE(Registry(looking_in({folder.path()})).find("mine")->wants_srgb);
  folder.write("mine.yaml", "colour: srgb\n");
  const auto found = Registry(looking_in({folder.path()})).find("mine");
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_TRUE(found->wants_srgb);
}

TEST(Registry, AManifestMayNotContradictTheWeights) {
  const WeightFolder folder;
  folder.write_weights("mine.safetensors", kHeader, "123456");
  folder.write("mine.yaml", "scale: 2\n");
  const auto found = Registry(looking_in({folder.path()})).find("mine");
  ASSERT_FALSE(found);
  EXPECT_THAT(found.error().message, HasSubstr("mine.yaml"));
}

TEST(Registry, AMistakeInAManifestIsNamedWithItsLine) {
  const WeightFolder folder;
  folder.write_weights("mine.safetensors", kHeader, "123456");
  folder.write("mine.yaml", "task: denoise\nlicence: MIT\n");
  const auto found = Registry(looking_in({folder.path()})).find("mine");
  ASSERT_FALSE(found);
  EXPECT_THAT(found.error().message, HasSubstr("mine.yaml:2"));
  EXPECT_THAT(found.error().message, HasSubstr("`licence`"));
}

}  // namespace
}  // namespace retouchd::inference
