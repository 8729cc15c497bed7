#include "stages/small_pass.h"

#include <gtest/gtest.h>

#include <opencv2/core.hpp>

#include "base/file.h"
#include "image/codec.h"
#include "image/metadata.h"
#include "tests/image/sample_profiles.h"
#include "tests/temporary_folder.h"

namespace retouchd::stages {
namespace {

class SmallCopy : public testing::Test {
 protected:
  /// As it can be looked at.
  image::Picture written(const cv::Mat& restored, const image::Picture& of) {
    const auto path = folder_.path() / "small.jpg";
    const auto done = write_small(codec_, restored, of, 95, path);
    EXPECT_TRUE(done) << done.error().message;
    auto picture = image::decode(*read_file(path, mebibytes(1)), {});
    EXPECT_TRUE(picture) << picture.error().message;
    return *std::move(picture);
  }

  image::LocalCodec codec_;
  const TemporaryFolder folder_;
};

TEST_F(SmallCopy, OfFloatsIsClamped) {
  cv::Mat restored(64, 64, CV_32FC3, cv::Scalar(0.5, -0.5, 7.0));
  const image::Picture small = written(restored, {});
  EXPECT_NEAR(small.colour.at<cv::Vec3b>(30, 30)[0], 128, 4);
  EXPECT_NEAR(small.colour.at<cv::Vec3b>(30, 30)[1], 0, 4);
  EXPECT_NEAR(small.colour.at<cv::Vec3b>(30, 30)[2], 255, 4);
}

TEST_F(SmallCopy, OfAPictureConvertedToSrgbIsInItsFilesColours) {
  image::Metadata metadata;
  metadata.icc = image::testing::make_rgb_profile(image::testing::kAdobeRgbLike);
  image::Picture original;
  original.colour = cv::Mat(64, 64, CV_8UC3, cv::Scalar(40, 220, 60));
  original.metadata = std::make_shared<const image::Metadata>(metadata);
  image::DecodeLimits limits;
  limits.space = image::WorkingSpace::kExtendedSrgb;
  const auto file = image::encode(original, image::FileFormat::kPng, {});
  ASSERT_TRUE(file) << file.error().message;
  const auto converted = image::decode(*file, limits);
  ASSERT_TRUE(converted) << converted.error().message;
  ASSERT_EQ(converted->space, image::WorkingSpace::kExtendedSrgb);
  ASSERT_LT(converted->colour.at<cv::Vec3f>(9, 9)[0], 0.0F) << "sRGB has no such green";

  const image::Picture small = written(converted->colour, *converted);
  EXPECT_FALSE(small.metadata->icc.empty());
  for (int c = 0; c < 3; ++c)
    EXPECT_NEAR(small.colour.at<cv::Vec3b>(30, 30)[c], original.colour.at<cv::Vec3b>(30, 30)[c], 4) << c;
}

}  // namespace
}  // namespace retouchd::stages
