#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "image/codec.h"
#include "tests/image/sample_pictures.h"

namespace retouchd::image {
namespace {

using testing::largest_difference;
using testing::make_picture;

const DecodeLimits kLimits;

TEST(Webp, LossyKeepsAlphaExactly) {
  const Picture picture = make_picture(50, 40, CV_8UC3, true);
  const auto file = encode(picture, FileFormat::kWebp, {});
  ASSERT_TRUE(file.ok()) << file.error().message;
  const auto decoded = decode(*file, kLimits);
  ASSERT_TRUE(decoded.ok()) << decoded.error().message;
  EXPECT_EQ(largest_difference(decoded->alpha, picture.alpha), 0.0);
}

TEST(Webp, GrayIsWrittenAsEqualChannels) {
  const Picture picture = make_picture(50, 40, CV_8UC1);
  EncodeOptions options;
  options.webp_quality = 100;
  const auto decoded = decode(*encode(picture, FileFormat::kWebp, options), kLimits);
  ASSERT_TRUE(decoded.ok());
  cv::Mat first;
  cv::extractChannel(decoded->colour, first, 0);
  EXPECT_EQ(largest_difference(first, picture.colour), 0.0);
}

TEST(Webp, AnimationIsRefused) {
  // VP8X with the animation flag, 1x1 canvas.
  const ByteVector file{'R', 'I', 'F', 'F', 22, 0, 0, 0, 'W', 'E', 'B', 'P', 'V', 'P', '8',
                        'X', 10,  0,   0,   0,  2, 0, 0, 0,   0,   0,   0,   0,   0,   0};
  const auto refused = read_header(file, kLimits);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kUnsupportedFormat);
  EXPECT_THAT(refused.error().message, ::testing::HasSubstr("animation"));
}

TEST(Webp, ShorterThanItsOwnSizeIsTruncated) {
  auto file = *encode(make_picture(50, 40, CV_8UC3), FileFormat::kWebp, {});
  file.resize(file.size() - 2);
  const auto refused = decode(file, kLimits);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kTruncatedPicture);
}

}  // namespace
}  // namespace retouchd::image
