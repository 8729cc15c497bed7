#include "inference/registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "weight_files.h"

namespace retouchd::inference {
namespace {

using testing::HasSubstr;

const std::string kHeader =
    R"({"__metadata__":{"arch":"student-tiny","scale":"1","multiple":"8","receptive_field":"39","task":"denoise","license":"MIT"},)"
    R"("a":{"dtype":"U8","shape":[2,3],"data_offsets":[0,6]}})";

TEST(Registry, ListsTheBuiltInNetworkWithItsFacts) {
  const auto registry = Registry::scan({std::filesystem::path(RETOUCHD_SOURCE_DIR) / "models"});
  ASSERT_EQ(registry.networks().size(), 1U);  // the golden tensors beside it are no network
  const NetworkInfo& network = registry.networks().front();
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
  const auto registry = Registry::scan({first.path(), second.path()});
  ASSERT_EQ(registry.networks().size(), 2U);
  EXPECT_EQ(registry.find("mine")->weights, first.path() / "mine.safetensors");
  EXPECT_EQ(registry.find("mine")->parameters, 6U);
  EXPECT_EQ(registry.find("other")->weights, second.path() / "other.safetensors");
}

TEST(Registry, PassesOverFilesOfOtherArchitecturesAndBrokenOnes) {
  const WeightFolder folder;
  folder.write_weights("foreign.safetensors", R"({"__metadata__":{"arch":"unheard-of"}})", "");
  folder.write_weights("broken.safetensors", "{", "");
  EXPECT_TRUE(Registry::scan({folder.path()}).networks().empty());
}

TEST(Registry, AnUnknownNameIsRefusedWithTheKnownOnes) {
  const WeightFolder folder;
  folder.write_weights("mine.safetensors", kHeader, "123456");
  const auto found = Registry::scan({folder.path()}).find("yours");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, ErrorCode::kUnknownNetwork);
  EXPECT_THAT(found.error().message, HasSubstr("`yours`"));
  EXPECT_THAT(found.error().message, HasSubstr("mine"));
}

}  // namespace
}  // namespace retouchd::inference
