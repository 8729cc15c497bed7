#include "image/codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "tests/image/sample_pictures.h"

namespace retouchd::image {
namespace {

using ::testing::HasSubstr;
using testing::largest_difference;
using testing::make_picture;

const DecodeLimits kLimits;
const EncodeOptions kOptions;

struct Case {
  FileFormat format;
  int type;
  bool has_alpha;
};

class LosslessFormat : public ::testing::TestWithParam<Case> {};

TEST_P(LosslessFormat, KeepsEverySample) {
  const auto [format, type, has_alpha] = GetParam();
  for (const cv::Size size : {cv::Size(1, 1), cv::Size(3, 2), cv::Size(61, 47), cv::Size(300, 200)}) {
    const Picture picture = make_picture(size.width, size.height, type, has_alpha);
    EncodeOptions options;
    options.webp_quality = 100;
    std::string warning;
    const auto file = encode(picture, format, options, &warning);
    ASSERT_TRUE(file.ok()) << file.error().message;
    EXPECT_EQ(warning, "");
    const auto header = read_header(*file, kLimits);
    ASSERT_TRUE(header.ok()) << header.error().message;
    EXPECT_EQ(header->format, format);
    EXPECT_EQ(header->width, static_cast<std::uint32_t>(size.width));
    EXPECT_EQ(header->height, static_cast<std::uint32_t>(size.height));
    EXPECT_EQ(header->channels, picture.colour.channels() + (has_alpha ? 1 : 0));
    EXPECT_EQ(header->bits, picture.is_16_bit() ? 16 : 8);
    const auto decoded = decode(*file, kLimits);
    ASSERT_TRUE(decoded.ok()) << decoded.error().message;
    EXPECT_EQ(decoded->format, format);
    EXPECT_EQ(largest_difference(decoded->colour, picture.colour), 0.0);
    EXPECT_EQ(largest_difference(decoded->alpha, picture.alpha), 0.0);
    EXPECT_EQ(decoded->metadata_warning, "");
  }
}

INSTANTIATE_TEST_SUITE_P(AllTypes, LosslessFormat,
                         ::testing::Values(Case{FileFormat::kPng, CV_8UC1, false}, Case{FileFormat::kPng, CV_8UC1, true},
                                           Case{FileFormat::kPng, CV_8UC3, false}, Case{FileFormat::kPng, CV_8UC3, true},
                                           Case{FileFormat::kPng, CV_16UC1, false}, Case{FileFormat::kPng, CV_16UC1, true},
                                           Case{FileFormat::kPng, CV_16UC3, false}, Case{FileFormat::kPng, CV_16UC3, true},
                                           Case{FileFormat::kTiff, CV_8UC1, false}, Case{FileFormat::kTiff, CV_8UC1, true},
                                           Case{FileFormat::kTiff, CV_8UC3, false}, Case{FileFormat::kTiff, CV_8UC3, true},
                                           Case{FileFormat::kTiff, CV_16UC1, false}, Case{FileFormat::kTiff, CV_16UC1, true},
                                           Case{FileFormat::kTiff, CV_16UC3, false}, Case{FileFormat::kTiff, CV_16UC3, true},
                                           Case{FileFormat::kWebp, CV_8UC3, false}, Case{FileFormat::kWebp, CV_8UC3, true}));

TEST(Codec, LossyFormatsStayClose) {
  for (const FileFormat format : {FileFormat::kJpeg, FileFormat::kWebp}) {
    const Picture picture = make_picture(128, 96, CV_8UC3);
    const auto file = encode(picture, format, kOptions);
    ASSERT_TRUE(file.ok()) << file.error().message;
    const auto decoded = decode(*file, kLimits);
    ASSERT_TRUE(decoded.ok()) << decoded.error().message;
    EXPECT_LE(largest_difference(decoded->colour, picture.colour), 12.0) << name_of(format);
  }
}

TEST(Codec, SameInputGivesSameBytes) {
  for (const FileFormat format : {FileFormat::kJpeg, FileFormat::kPng, FileFormat::kTiff, FileFormat::kWebp}) {
    Picture picture = make_picture(120, 80, CV_8UC3);
    Metadata metadata;
    metadata.exif = testing::make_exif(1);
    metadata.xmp = testing::make_xmp();
    metadata.iptc = testing::make_iptc();
    metadata.icc = testing::make_icc("RGB ");
    picture.metadata = std::make_shared<const Metadata>(metadata);
    const auto first = encode(picture, format, kOptions);
    const auto second = encode(picture, format, kOptions);
    ASSERT_TRUE(first.ok() && second.ok());
    EXPECT_EQ(*first, *second) << name_of(format);
  }
}

TEST(Codec, RowsNeedNotBeContiguous) {
  Picture whole = make_picture(90, 70, CV_8UC3, true);
  Picture part;
  part.colour = whole.colour(cv::Rect(10, 5, 50, 40));
  part.alpha = whole.alpha(cv::Rect(10, 5, 50, 40));
  for (const FileFormat format : {FileFormat::kPng, FileFormat::kTiff}) {
    const auto file = encode(part, format, kOptions);
    ASSERT_TRUE(file.ok());
    const auto decoded = decode(*file, kLimits);
    ASSERT_TRUE(decoded.ok());
    EXPECT_EQ(largest_difference(decoded->colour, part.colour), 0.0);
    EXPECT_EQ(largest_difference(decoded->alpha, part.alpha), 0.0);
  }
}

TEST(Codec, PngStandsInForWhatAFormatCannotHold) {
  EXPECT_EQ(format_for(make_picture(9, 9, CV_8UC3), FileFormat::kJpeg), FileFormat::kJpeg);
  EXPECT_EQ(format_for(make_picture(9, 9, CV_8UC1), FileFormat::kJpeg), FileFormat::kJpeg);
  EXPECT_EQ(format_for(make_picture(9, 9, CV_8UC3, true), FileFormat::kJpeg), FileFormat::kPng);
  EXPECT_EQ(format_for(make_picture(9, 9, CV_16UC3), FileFormat::kJpeg), FileFormat::kPng);
  EXPECT_EQ(format_for(make_picture(9, 9, CV_8UC3, true), FileFormat::kWebp), FileFormat::kWebp);
  EXPECT_EQ(format_for(make_picture(9, 9, CV_16UC3), FileFormat::kWebp), FileFormat::kPng);
  EXPECT_EQ(format_for(make_picture(16'384, 1, CV_8UC3), FileFormat::kWebp), FileFormat::kPng);
  EXPECT_EQ(format_for(make_picture(16'383, 1, CV_8UC3), FileFormat::kWebp), FileFormat::kWebp);
  EXPECT_EQ(format_for(make_picture(9, 9, CV_16UC3, true), FileFormat::kTiff), FileFormat::kTiff);
}

TEST(Codec, RefusesToEncodeWhatTheFormatCannotHold) {
  const auto file = encode(make_picture(9, 9, CV_16UC3), FileFormat::kJpeg, kOptions);
  ASSERT_FALSE(file.ok());
  EXPECT_EQ(file.error().code, ErrorCode::kInternal);
  EXPECT_THAT(file.error().message, HasSubstr("jpeg cannot hold"));
}

TEST(Codec, RefusesPlanesThatDoNotFitTogether) {
  Picture picture = make_picture(9, 9, CV_8UC3);
  picture.alpha = cv::Mat(8, 9, CV_8UC1);
  EXPECT_FALSE(encode(picture, FileFormat::kPng, kOptions).ok());
  EXPECT_FALSE(encode(Picture{}, FileFormat::kPng, kOptions).ok());
}

TEST(Codec, LimitsSayTheirNumbers) {
  const auto file = encode(make_picture(200, 100, CV_8UC1), FileFormat::kPng, kOptions);
  ASSERT_TRUE(file.ok());
  DecodeLimits limits;
  limits.megapixels = 0.019;
  auto refused = decode(*file, limits);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kPictureTooLarge);
  EXPECT_THAT(refused.error().message, HasSubstr("200x100"));
  EXPECT_THAT(refused.error().message, HasSubstr("limits.megapixels"));
  limits = {};
  limits.side = 199;
  refused = decode(*file, limits);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kPictureTooLarge);
  EXPECT_THAT(refused.error().message, HasSubstr("limits.side"));
}

TEST(Codec, ManyThreadsMayDecodeAndEncode) {
  Picture picture = make_picture(40, 30, CV_8UC3);
  Metadata metadata;
  metadata.exif = testing::make_exif(6);
  metadata.xmp = testing::make_xmp();
  picture.metadata = std::make_shared<const Metadata>(metadata);
  std::vector<std::thread> threads;
  std::atomic<int> good = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (const FileFormat format : {FileFormat::kJpeg, FileFormat::kPng, FileFormat::kTiff, FileFormat::kWebp}) {
        const auto file = encode(picture, format, kOptions);
        if (file.ok() && decode(*file, kLimits).ok()) ++good;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, 16);
}

}  // namespace
}  // namespace retouchd::image
