#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <jxl/encode.h>

#include <cmath>
#include <functional>
#include <limits>
#include <opencv2/core.hpp>

#include "image/codec.h"
#include "image/metadata.h"
#include "image/orientation.h"
#include "image/psnr.h"
#include "tests/image/decoded.h"
#include "tests/image/sample_pictures.h"
#include "tests/image/sample_profiles.h"

namespace retouchd::image {
namespace {

using testing::decoded;
using ::testing::HasSubstr;
using testing::largest_difference;
using testing::make_pattern;
using testing::make_picture;

const DecodeLimits kLimits;

EncodeOptions lossless() {
  EncodeOptions options;
  options.jxl_quality = 100;
  return options;
}

Picture make_float_picture(int width, int height, int channels, bool has_alpha) {
  Picture picture = make_picture(width, height, CV_MAKETYPE(CV_16U, channels), has_alpha);
  picture.colour.convertTo(picture.colour, CV_32F, 1.0 / 65'535);
  if (has_alpha) picture.alpha.convertTo(picture.alpha, CV_32F, 1.0 / 65'535);
  picture.file_bits = 32;
  return picture;
}

struct Kind {
  std::uint32_t bits = 8;
  std::uint32_t exponent_bits = 0;
  bool has_alpha = false;
  int frames = 1;
  JxlOrientation orientation = JXL_ORIENT_IDENTITY;
  ByteVector exif = {};  ///< written as a Brotli box, with its offset
};

/// A lossless file of `pixels` (colour and alpha interleaved; CV_8U, CV_16U or CV_32F).
ByteVector write_jxl(const cv::Mat& pixels, const Kind& kind) {
  JxlEncoder* encoder = JxlEncoderCreate(nullptr);
  if (!kind.exif.empty()) {
    JxlEncoderUseContainer(encoder, JXL_TRUE);
    JxlEncoderUseBoxes(encoder);
  }
  JxlBasicInfo info;
  JxlEncoderInitBasicInfo(&info);
  info.xsize = static_cast<std::uint32_t>(pixels.cols);
  info.ysize = static_cast<std::uint32_t>(pixels.rows);
  info.bits_per_sample = kind.bits;
  info.exponent_bits_per_sample = kind.exponent_bits;
  info.num_color_channels = static_cast<std::uint32_t>(pixels.channels() - (kind.has_alpha ? 1 : 0));
  info.orientation = kind.orientation;
  info.uses_original_profile = JXL_TRUE;
  if (kind.has_alpha) {
    info.num_extra_channels = 1;
    info.alpha_bits = kind.bits;
    info.alpha_exponent_bits = kind.exponent_bits;
  }
  if (kind.frames > 1) {
    info.have_animation = JXL_TRUE;
    info.animation.tps_numerator = 10;
    info.animation.tps_denominator = 1;
  }
  EXPECT_EQ(JxlEncoderSetBasicInfo(encoder, &info), JXL_ENC_SUCCESS);
  if (kind.has_alpha) {
    JxlExtraChannelInfo alpha;
    JxlEncoderInitExtraChannelInfo(JXL_CHANNEL_ALPHA, &alpha);
    alpha.bits_per_sample = kind.bits;
    alpha.exponent_bits_per_sample = kind.exponent_bits;
    EXPECT_EQ(JxlEncoderSetExtraChannelInfo(encoder, 0, &alpha), JXL_ENC_SUCCESS);
  }
  JxlColorEncoding srgb;
  JxlColorEncodingSetToSRGB(&srgb, info.num_color_channels == 1 ? JXL_TRUE : JXL_FALSE);
  EXPECT_EQ(JxlEncoderSetColorEncoding(encoder, &srgb), JXL_ENC_SUCCESS);
  if (!kind.exif.empty()) {
    EXPECT_EQ(JxlEncoderAddBox(encoder, "Exif", kind.exif.data(), kind.exif.size(), JXL_TRUE), JXL_ENC_SUCCESS);
    JxlEncoderCloseBoxes(encoder);
  }
  for (int frame = 0; frame < kind.frames; ++frame) {
    JxlEncoderFrameSettings* settings = JxlEncoderFrameSettingsCreate(encoder, nullptr);
    JxlEncoderSetFrameLossless(settings, JXL_TRUE);
    JxlEncoderFrameSettingsSetOption(settings, JXL_ENC_FRAME_SETTING_EFFORT, 1);
    if (kind.frames > 1) {
      JxlFrameHeader header;
      JxlEncoderInitFrameHeader(&header);
      header.duration = 1;
      JxlEncoderSetFrameHeader(settings, &header);
    }
    const cv::Mat shown = frame == 0 ? pixels : cv::Mat(pixels * 0.5);
    std::vector<cv::Mat> planes;
    cv::split(shown, planes);
    const cv::Mat alpha = kind.has_alpha ? planes.back() : cv::Mat();
    if (kind.has_alpha) planes.pop_back();
    cv::Mat colour;
    cv::merge(planes, colour);
    const JxlDataType type = pixels.depth() == CV_32F   ? JXL_TYPE_FLOAT
                             : pixels.depth() == CV_16U ? JXL_TYPE_UINT16
                                                        : JXL_TYPE_UINT8;
    JxlPixelFormat format{info.num_color_channels, type, JXL_NATIVE_ENDIAN, 0};
    EXPECT_EQ(JxlEncoderAddImageFrame(settings, &format, colour.data, colour.total() * colour.elemSize()), JXL_ENC_SUCCESS);
    if (!kind.has_alpha) continue;
    format.num_channels = 1;
    EXPECT_EQ(JxlEncoderSetExtraChannelBuffer(settings, &format, alpha.data, alpha.total() * alpha.elemSize(), 0),
              JXL_ENC_SUCCESS);
  }
  JxlEncoderCloseInput(encoder);
  ByteVector file(1 << 20);
  std::uint8_t* next = file.data();
  std::size_t room = file.size();
  EXPECT_EQ(JxlEncoderProcessOutput(encoder, &next, &room), JXL_ENC_SUCCESS);
  file.resize(file.size() - room);
  JxlEncoderDestroy(encoder);
  return file;
}

TEST(Jxl, LosslessKeepsEveryValue) {
  for (const int depth : {CV_8U, CV_16U, CV_32F}) {
    for (const int channels : {1, 3}) {
      for (const bool has_alpha : {false, true}) {
        const Picture picture = depth == CV_32F ? make_float_picture(61, 47, channels, has_alpha)
                                                : make_picture(61, 47, CV_MAKETYPE(depth, channels), has_alpha);
        const auto file = encode(picture, FileFormat::kJxl, lossless());
        ASSERT_TRUE(file.ok()) << file.error().message;
        const auto header = read_header(*file, kLimits);
        ASSERT_TRUE(header.ok()) << header.error().message;
        EXPECT_EQ(header->width, 61U);
        EXPECT_EQ(header->height, 47U);
        EXPECT_EQ(header->channels, channels + (has_alpha ? 1 : 0));
        EXPECT_EQ(header->bits, depth == CV_8U ? 8 : depth == CV_16U ? 16 : 32);
        EXPECT_GT(header->working.value, 0U);
        const Picture back = decoded(*file);
        EXPECT_EQ(back.format, FileFormat::kJxl);
        EXPECT_EQ(back.file_bits, header->bits);
        EXPECT_EQ(largest_difference(back.colour, picture.colour), 0.0) << depth << "x" << channels;
        EXPECT_EQ(back.alpha.empty(), !has_alpha);
        if (has_alpha) {
          EXPECT_EQ(largest_difference(back.alpha, picture.alpha), 0.0) << depth << "x" << channels;
        }
        EXPECT_EQ(back.metadata_warning, "");
      }
    }
  }
}

TEST(Jxl, LossyIsNear) {
  for (const int type : {CV_8UC1, CV_8UC3, CV_16UC1, CV_16UC3}) {
    const Picture picture = make_picture(160, 120, type, true);
    const auto file = encode(picture, FileFormat::kJxl, {});
    ASSERT_TRUE(file.ok()) << file.error().message;
    const Picture back = decoded(*file);
    EXPECT_GT(psnr(back.colour, picture.colour), 35.0) << type;
    EXPECT_GT(psnr(back.alpha, picture.alpha), 45.0) << type;
  }
}

TEST(Jxl, LossyKeepsTheProfileAndItsColours) {
  for (const int type : {CV_8UC3, CV_16UC3, CV_8UC1}) {
    Picture picture = make_picture(160, 120, type);
    Metadata metadata;
    metadata.icc = CV_MAT_CN(type) == 3 ? testing::make_rgb_profile(testing::kProPhotoLike) : testing::make_gray_profile(1.7);
    picture.metadata = std::make_shared<const Metadata>(metadata);
    const auto file = encode(picture, FileFormat::kJxl, {});
    ASSERT_TRUE(file.ok()) << file.error().message;
    const Picture back = decoded(*file);
    ASSERT_NE(back.metadata, nullptr) << back.metadata_warning;
    EXPECT_EQ(back.metadata->icc, metadata.icc);
    EXPECT_GT(psnr(back.colour, picture.colour), 35.0) << type << " " << back.metadata_warning;
  }
}

TEST(Jxl, MetadataComesBackByteForByte) {
  Picture picture = make_picture(50, 40, CV_8UC3);
  Metadata metadata;
  metadata.exif = testing::make_exif(6);
  metadata.xmp = testing::make_xmp();
  metadata.icc = testing::make_rgb_profile(testing::kAdobeRgbLike);
  metadata.iptc = testing::make_iptc();
  picture.metadata = std::make_shared<const Metadata>(metadata);
  std::string warnings;
  const Metadata blocks = prepare_for(metadata, FileFormat::kJxl, picture, 3, warnings);
  const Picture back = decoded(*encode(picture, FileFormat::kJxl, lossless()));
  ASSERT_NE(back.metadata, nullptr);
  EXPECT_FALSE(back.metadata->exif.empty());
  EXPECT_EQ(back.metadata->exif, blocks.exif);
  EXPECT_FALSE(back.metadata->xmp.empty());
  EXPECT_EQ(back.metadata->xmp, blocks.xmp);
  EXPECT_EQ(back.metadata->icc, metadata.icc);
}

TEST(Jxl, CompressedBoxesAreReadUpToTheLimit) {
  Kind kind;
  kind.exif = testing::make_exif(6);
  const ByteVector exif = kind.exif;
  kind.exif.insert(kind.exif.begin(), 4, 0);
  const cv::Mat pixels = make_pattern(30, 20, CV_8UC3);
  const Picture back = decoded(write_jxl(pixels, kind));
  ASSERT_NE(back.metadata, nullptr);
  EXPECT_EQ(back.metadata->exif, exif);
  EXPECT_EQ(largest_difference(back.colour, pixels), 0.0);  // the codestream's orientation counts: none

  kind.exif.resize(8 << 20);  // zeros: a few bytes in the file
  const ByteVector bomb = write_jxl(pixels, kind);
  ASSERT_LT(bomb.size(), 20'000U);
  DecodeLimits limits;
  limits.metadata = mebibytes(1);
  const auto without = decode(bomb, limits);
  ASSERT_TRUE(without.ok()) << without.error().message;
  EXPECT_EQ(without->metadata, nullptr);
  EXPECT_THAT(without->metadata_warning, HasSubstr("limits.metadata"));
}

TEST(Jxl, OrientationIsAppliedOnce) {
  cv::Mat pixels;
  const Picture stored = make_picture(30, 20, CV_8UC3, true);
  std::vector<cv::Mat> planes;
  cv::split(stored.colour, planes);
  planes.push_back(stored.alpha);
  cv::merge(planes, pixels);
  for (int orientation = 1; orientation <= 8; ++orientation) {
    Kind kind;
    kind.has_alpha = true;
    kind.orientation = static_cast<JxlOrientation>(orientation);
    kind.exif = testing::make_exif(6);
    kind.exif.insert(kind.exif.begin(), 4, 0);
    const Picture back = decoded(write_jxl(pixels, kind));
    EXPECT_EQ(largest_difference(back.colour, upright(stored.colour, orientation)), 0.0) << orientation;
    EXPECT_EQ(largest_difference(back.alpha, upright(stored.alpha, orientation)), 0.0) << orientation;
  }
}

TEST(Jxl, TwelveBitsFillTheWholeRange) {
  cv::Mat pixels(20, 30, CV_16UC3);
  for (int y = 0; y < pixels.rows; ++y) {
    for (int x = 0; x < pixels.cols; ++x) {
      for (int channel = 0; channel < 3; ++channel) {
        const int value = (x * 131 + y * 53 + channel * 977) % 4096;
        pixels.at<cv::Vec3w>(y, x)[channel] = static_cast<std::uint16_t>(std::lround(value * 65'535.0 / 4095));
      }
    }
  }
  Kind kind;
  kind.bits = 12;
  const Picture back = decoded(write_jxl(pixels, kind));
  ASSERT_EQ(back.colour.type(), CV_16UC3);
  EXPECT_EQ(largest_difference(back.colour, pixels), 0.0);
}

TEST(Jxl, FloatsPassBelowZeroAndAboveOne) {
  cv::Mat pixels(20, 30, CV_32FC3);
  for (int y = 0; y < pixels.rows; ++y) {
    for (int x = 0; x < pixels.cols; ++x) {
      const auto step = static_cast<float>(x * 20 + y);
      pixels.at<cv::Vec3f>(y, x) = {step / 128 - 0.5F, step / 64, 1.0F - step / 512};
    }
  }
  for (const bool is_half : {false, true}) {
    Kind kind;
    kind.bits = is_half ? 16 : 32;
    kind.exponent_bits = is_half ? 5 : 8;
    const Picture back = decoded(write_jxl(pixels, kind));
    ASSERT_EQ(back.colour.type(), CV_32FC3);
    EXPECT_EQ(back.file_bits, 32);
    EXPECT_EQ(back.range.low, 0.0F);
    EXPECT_EQ(back.range.high, 1.0F);
    EXPECT_EQ(largest_difference(back.colour, pixels), 0.0) << is_half;
  }
}

TEST(Jxl, WhatIsNoNumberBecomesZero) {
  cv::Mat pixels(20, 30, CV_32FC1, cv::Scalar(0.5));
  pixels.at<float>(3, 4) = std::numeric_limits<float>::quiet_NaN();
  pixels.at<float>(5, 6) = std::numeric_limits<float>::infinity();
  Kind kind;
  kind.bits = 32;
  kind.exponent_bits = 8;
  const auto back = decode(write_jxl(pixels, kind), kLimits);
  ASSERT_TRUE(back.ok()) << back.error().message;
  EXPECT_EQ(back->colour.at<float>(3, 4), 0.0F);
  EXPECT_EQ(back->colour.at<float>(5, 6), 0.0F);
  EXPECT_EQ(back->colour.at<float>(7, 8), 0.5F);
  EXPECT_THAT(back->metadata_warning, HasSubstr("no numbers"));
}

TEST(Jxl, FloatsOfAnotherRangeAreWrittenWithAWarning) {
  Picture picture = make_float_picture(30, 20, 3, false);
  picture.range = {0.0F, 1000.0F};
  std::string warning;
  ASSERT_TRUE(encode(picture, FileFormat::kJxl, lossless(), &warning).ok());
  EXPECT_THAT(warning, HasSubstr("0 to 1000"));
}

TEST(Jxl, OfAnAnimationTheFirstPictureIsTaken) {
  Kind kind;
  kind.frames = 2;
  const cv::Mat pixels = make_pattern(30, 20, CV_8UC3);
  const ByteVector file = write_jxl(pixels, kind);
  EXPECT_EQ(read_header(file, kLimits)->frames, 2);
  const Picture back = decoded(file);
  EXPECT_EQ(largest_difference(back.colour, pixels), 0.0);
  EXPECT_THAT(back.metadata_warning, HasSubstr("animation"));
  DecodeLimits limits;
  limits.frames = 1;
  EXPECT_EQ(read_header(file, limits).error().code, ErrorCode::kPictureTooLarge);
}

TEST(Jxl, LargerThanAllowedIsRefusedByItsHeader) {
  DecodeLimits limits;
  limits.megapixels = 0.001;
  const auto refused = decode(*encode(make_picture(50, 40, CV_8UC3), FileFormat::kJxl, {}), limits);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kPictureTooLarge);
}

}  // namespace
}  // namespace retouchd::image
