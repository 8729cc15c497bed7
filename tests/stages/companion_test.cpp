#include "stages/companion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <opencv2/core.hpp>
#include <utility>

#include "image/metadata.h"
#include "tests/temporary_folder.h"

namespace retouchd::stages {
namespace {

using image::FileFormat;
using inference::Companion;
using testing::HasSubstr;

/// A TIFF structure with nothing but the orientation.
image::ByteVector exif_with(std::uint8_t orientation) {
  return {'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 0x01, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0, 0, 0, 0, 0};
}

image::Picture picture(int width, int height, int type = CV_8UC3, std::uint8_t orientation = 1) {
  image::Picture picture;
  picture.colour = cv::Mat(height, width, type, cv::Scalar::all(100));
  picture.orientation = orientation;
  return picture;
}

class CompanionTest : public testing::Test {
 protected:
  void write(const std::string& name, const image::Picture& picture, FileFormat format = FileFormat::kPng) {
    const auto file = image::encode(picture, format, {});
    ASSERT_TRUE(file) << file.error().message;
    write_bytes(name, *file);
  }
  /// The same, stored with an orientation, which encode() never does.
  void write_turned(const std::string& name, const image::Picture& picture, std::uint8_t orientation) {
    auto file = *image::encode(picture, FileFormat::kJpeg, {});
    image::ByteVector block{0xFF, 0xE1, 0, 34, 'E', 'x', 'i', 'f', 0, 0};
    const auto exif = exif_with(orientation);
    block.insert(block.end(), exif.begin(), exif.end());
    file.insert(file.begin() + 2, block.begin(), block.end());
    write_bytes(name, file);
  }
  void write_bytes(const std::string& name, const image::ByteVector& file) {
    write_text(folder_.path() / name, {reinterpret_cast<const char*>(file.data()), file.size()});
  }
  Result<CompanionPicture> read(const std::string& source, const image::Picture& first, Companion companion) {
    image::LocalCodec codec;
    return read_companion(codec, folder_.path() / source, first, companion, {}, mebibytes(1));
  }
  void expect_misfit(const std::string& source, const image::Picture& first, Companion companion, const std::string& reason) {
    const auto second = read(source, first, companion);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, ErrorCode::kInvalidRequest);
    EXPECT_THAT(second.error().message, HasSubstr("does not fit " + source));
    EXPECT_THAT(second.error().message, HasSubstr(reason));
  }

  TemporaryFolder folder_;
};

TEST(CompanionPath, LiesBesideThePicture) {
  EXPECT_EQ(companion_path("/x/room.jpg", Companion::kDepth), "/x/room.depth.png");
  EXPECT_EQ(companion_path("/x/scan.TIF", Companion::kRightView), "/x/scan.right.TIF");
  EXPECT_EQ(companion_path("/x/room.jpg", Companion::kNone), "");
}

TEST(DepthOutput, IsNeverCalledLikeTheColourPicture) {
  EXPECT_EQ(depth_output("/in/room.jpg", "/out/room.jpg"), "/out/room.depth.png");
  EXPECT_EQ(depth_output("/in/room.jpg", "/in/room_restored.jpg"), "/in/room_restored.depth.png");
  EXPECT_EQ(depth_output("/in/v1.2.jpg", "/out/v1.2.png"), "/out/v1.2.depth.png");
  EXPECT_EQ(depth_output("/in/room.jpg", "/out/filled.jpg"), "/out/filled.jpg");
  EXPECT_EQ(depth_output("/in/room.jpg", "/out/room.depth.png"), "/out/room.depth.png");
}

TEST_F(CompanionTest, DepthIsReadWithItsIdentity) {
  write("room.depth.png", picture(8, 6, CV_16UC1));
  const auto second = read("room.jpg", picture(8, 6), Companion::kDepth);
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_EQ(second->picture.colour.type(), CV_16UC1);
  EXPECT_EQ(second->identity, *identify_file(folder_.path() / "room.depth.png"));
}

TEST_F(CompanionTest, SmallerDepthTakesTheNearestDistances) {
  auto depth = picture(4, 3, CV_16UC1);
  depth.colour.at<std::uint16_t>(1, 1) = 0;  // a hole stays a hole, and nothing else becomes one
  write("room.depth.png", depth);
  const auto second = read("room.jpg", picture(8, 6), Companion::kDepth);
  ASSERT_TRUE(second);
  const cv::Mat& pixels = second->picture.colour;
  EXPECT_EQ(pixels.size(), cv::Size(8, 6));
  EXPECT_EQ(cv::countNonZero(pixels), 8 * 6 - 4);
  EXPECT_EQ(cv::countNonZero(pixels == 100), 8 * 6 - 4);
}

TEST_F(CompanionTest, WhatIsMissingIsNamed) {
  const auto second = read("room.jpg", picture(8, 6), Companion::kDepth);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kInputMissing);
  EXPECT_THAT(second.error().message, HasSubstr("room.jpg needs room.depth.png beside it"));
  EXPECT_THAT(read("room.depth.png", picture(8, 6), Companion::kDepth).error().message, HasSubstr("is the depth of a pair"));
}

TEST_F(CompanionTest, DepthOfOtherShapeOrTypeIsRefused) {
  write("a.depth.png", picture(6, 8, CV_16UC1));
  expect_misfit("a.jpg", picture(8, 6), Companion::kDepth, "the same rotation");
  write("b.depth.png", picture(8, 6));
  expect_misfit("b.jpg", picture(8, 6), Companion::kDepth, "16-bit gray");
}

TEST_F(CompanionTest, DepthWithoutTheTurnOfItsPictureIsRefused) {
  write("room.depth.png", picture(8, 6, CV_16UC1));
  expect_misfit("room.jpg", picture(8, 6, CV_8UC3, 3), Companion::kDepth, "EXIF orientations are 1 and 3");
  write("square.depth.png", picture(8, 8, CV_16UC1));
  expect_misfit("square.jpg", picture(8, 8, CV_8UC3, 6), Companion::kDepth, "store both upright");
}

TEST_F(CompanionTest, SidesTellThatDepthIsUprightAlready) {
  write("room.depth.png", picture(8, 6, CV_16UC1));
  EXPECT_TRUE(read("room.jpg", picture(8, 6, CV_8UC3, 6), Companion::kDepth));
}

TEST_F(CompanionTest, ViewsThatAreTurnedAlikeFit) {
  write_turned("scan.right.jpg", picture(16, 8), 6);
  const auto second = read("scan.jpg", picture(8, 16, CV_8UC3, 6), Companion::kRightView);
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_EQ(second->picture.colour.size(), cv::Size(8, 16));
  write_turned("flip.right.jpg", picture(16, 8), 3);
  expect_misfit("flip.jpg", picture(16, 8), Companion::kRightView, "EXIF orientations are 3 and 1");
}

TEST_F(CompanionTest, ViewsOfUnequalSizeAreRefused) {
  write("scan.right.png", picture(8, 6));
  expect_misfit("scan.png", picture(16, 12), Companion::kRightView, "the same size");
}

}  // namespace
}  // namespace retouchd::stages
