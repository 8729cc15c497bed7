#include "cli/inputs.h"

#include <gtest/gtest.h>

#include "tests/temporary_folder.h"

namespace retouchd::cli {
namespace {

struct InputsTest : testing::Test {
  TemporaryFolder scratch;
  std::filesystem::path root = scratch.path();

  void write(const std::string& name) const { write_text(root / name, "x"); }
  std::vector<std::string> sources(const Inputs& inputs) const {
    std::vector<std::string> names;
    for (const auto& input : inputs.pictures) names.push_back(input.source.lexically_relative(root).string());
    return names;
  }
  std::vector<std::string> outputs(const std::vector<std::string>& arguments, const std::string& output) const {
    auto planned = plan_outputs(find_inputs(arguments, root, output.empty()), output, root);
    if (!planned) return {planned.error().message};
    return *planned;
  }
};

using Texts = std::vector<std::string>;

TEST_F(InputsTest, RelativeFilesBecomeAbsolute) {
  write("a/b.jpg");
  EXPECT_EQ(sources(find_inputs({"a/../a/b.jpg"}, root, true)), (Texts{"a/b.jpg"}));
  EXPECT_EQ(sources(find_inputs({(root / "a/b.jpg").string(), "a/b.jpg"}, root, true)), (Texts{"a/b.jpg"})) << "named twice";
}

TEST_F(InputsTest, AFolderGivesItsPicturesSortedAndMirrored) {
  for (const char* name : {"in/b.png", "in/a.JPG", "in/sub/c.tiff", "in/notes.txt", "in/.hidden/d.jpg", "in/.e.jpg"}) write(name);
  const auto inputs = find_inputs({"in/"}, root, false);
  EXPECT_EQ(sources(inputs), (Texts{"in/a.JPG", "in/b.png", "in/sub/c.tiff"}));
  EXPECT_EQ(outputs({"in"}, "out"), (Texts{root / "out/a.JPG", root / "out/b.png", root / "out/sub/c.tiff"}));
}

TEST_F(InputsTest, EarlierResultsBesideTheirOriginalsAreNoInputs) {
  for (const char* name : {"in/a.jpg", "in/a_restored.jpg"}) write(name);
  EXPECT_EQ(sources(find_inputs({"in"}, root, true)), (Texts{"in/a.jpg"}));
  EXPECT_EQ(find_inputs({"in"}, root, false).pictures.size(), 2U);
}

TEST_F(InputsTest, DepthPicturesOfAFolderBelongToOthers) {
  for (const char* name : {"in/a.jpg", "in/a.depth.png", "in/a_restored.depth.png"}) write(name);
  for (const bool beside : {false, true}) EXPECT_EQ(sources(find_inputs({"in"}, root, beside)), (Texts{"in/a.jpg"}));
}

TEST_F(InputsTest, PatternsAreExpandedUnlessTheyNameAFile) {
  for (const char* name : {"x1.jpg", "x2.jpg", "odd[1].jpg"}) write(name);
  EXPECT_EQ(sources(find_inputs({"x?.jpg"}, root, true)), (Texts{"x1.jpg", "x2.jpg"}));
  EXPECT_EQ(sources(find_inputs({"odd[1].jpg"}, root, true)), (Texts{"odd[1].jpg"}));
}

TEST_F(InputsTest, WhatIsNotThereIsReported) {
  std::filesystem::create_directory(root / "empty");
  const auto inputs = find_inputs({"none.jpg", "*.png", "empty"}, root, true);
  ASSERT_EQ(inputs.missing.size(), 3U);
  for (const auto& error : inputs.missing) EXPECT_EQ(error.code, ErrorCode::kInputMissing);
  EXPECT_EQ(inputs.missing[0].message, "none.jpg: no such file or folder");
}

TEST_F(InputsTest, TheOutputIsAFolderWhenItLooksLikeOneIsOneOrMustBe) {
  for (const char* name : {"a.jpg", "b.jpg"}) write(name);
  std::filesystem::create_directory(root / "there");
  EXPECT_EQ(outputs({"a.jpg"}, "new.jpg"), (Texts{root / "new.jpg"}));
  EXPECT_EQ(outputs({"a.jpg"}, "new/"), (Texts{root / "new/a.jpg"}));
  EXPECT_EQ(outputs({"a.jpg"}, "there"), (Texts{root / "there/a.jpg"}));
  EXPECT_EQ(outputs({"a.jpg", "b.jpg"}, "new"), (Texts{root / "new/a.jpg", root / "new/b.jpg"}));
  EXPECT_EQ(outputs({"a.jpg", "none.jpg"}, "new"), (Texts{root / "new/a.jpg"})) << "the same with one missing";
  EXPECT_EQ(outputs({"a.jpg"}, ""), (Texts{""}));
}

TEST_F(InputsTest, TwoPicturesNeverShareAResult) {
  for (const char* name : {"x/a.jpg", "y/a.jpg"}) write(name);
  const auto refused = plan_outputs(find_inputs({"x/a.jpg", "y/a.jpg"}, root, false), "out", root);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidRequest);
}

}  // namespace
}  // namespace retouchd::cli
