#include "inference/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "weight_files.h"

namespace retouchd::inference {
namespace {

using testing::HasSubstr;

Result<std::optional<Manifest>> read(const std::string& text) {
  const WeightFolder folder;
  folder.write("mine.yaml", text);
  return read_manifest(folder.path() / "mine.pt");
}

TEST(Manifest, MayBeMissing) {
  const WeightFolder folder;
  const auto manifest = read_manifest(folder.path() / "mine.pt");
  ASSERT_TRUE(manifest);
  EXPECT_FALSE(manifest->has_value());
}

TEST(Manifest, EveryKeyIsRead) {
  const auto manifest = read(
      "task: derain\nlicense: MIT\nscale: 2\nchannels: 1\ncompanion: right\nmultiple: 16\nrange: 255\nreceptive_field: 40\n"
      "attention: local\ncolour: srgb\n");
  ASSERT_TRUE(manifest) << manifest.error().message;
  const Manifest& is = **manifest;
  EXPECT_EQ(is.task, "derain");
  EXPECT_EQ(is.license, "MIT");
  EXPECT_EQ(is.scale, 2);
  EXPECT_EQ(is.channels, 1);
  EXPECT_EQ(is.companion, Companion::kRightView);
  EXPECT_EQ(is.multiple, 16);
  EXPECT_EQ(is.range, 255);
  EXPECT_EQ(is.receptive_field, 40);
  EXPECT_EQ(is.local_attention, true);
  EXPECT_EQ(is.wants_srgb, true);
}

struct Mistake {
  const char* text;
  const char* place;   ///< file and line
  const char* reason;  ///< part of the message
};

class ManifestMistake : public testing::TestWithParam<Mistake> {};

TEST_P(ManifestMistake, IsNamedWithFileLineAndKey) {
  const auto manifest = read(GetParam().text);
  ASSERT_FALSE(manifest) << GetParam().text;
  EXPECT_EQ(manifest.error().code, ErrorCode::kBadWeights);
  EXPECT_THAT(manifest.error().message, HasSubstr(GetParam().place));
  EXPECT_THAT(manifest.error().message, HasSubstr(GetParam().reason));
}

INSTANTIATE_TEST_SUITE_P(Each, ManifestMistake,
                         testing::Values(Mistake{"scale: 9\n", "mine.yaml:1", "`scale` is a whole number from 1 to 8"},
                                         Mistake{"task: a\nscale: 0\n", "mine.yaml:2", "`scale`"},
                                         Mistake{"scale: two\n", "mine.yaml:1", "`scale`"},
                                         Mistake{"channels: 4\n", "mine.yaml:1", "`channels` is one of 1, 3"},
                                         Mistake{"companion: left\n", "mine.yaml:1", "`companion` is one of none, depth, right"},
                                         Mistake{"multiple: 512\n", "mine.yaml:1", "`multiple` is a whole number from 1 to 256"},
                                         Mistake{"range: 65535\n", "mine.yaml:1", "`range` is one of 1, 255"},
                                         Mistake{"receptive_field: -1\n", "mine.yaml:1", "`receptive_field`"},
                                         Mistake{"attention: [local]\n", "mine.yaml:1", "`attention` is one of global, local"},
                                         Mistake{"task: [a, b]\n", "mine.yaml:1", "`task` is a short text"},
                                         Mistake{"\nsize: 3\n", "mine.yaml:2", "`size` is no key of a manifest"},
                                         Mistake{"just words\n", "mine.yaml", "`key: value`"},
                                         Mistake{"", "mine.yaml", "is empty"}, Mistake{"task: a\nscale: {\n", "mine.yaml:", ""}));

TEST(Manifest, AHugeOneIsNotRead) {
  const auto manifest = read("task: " + std::string(100'000, 'a') + "\n");
  ASSERT_FALSE(manifest);
  EXPECT_EQ(manifest.error().code, ErrorCode::kBadWeights);
}

}  // namespace
}  // namespace retouchd::inference
