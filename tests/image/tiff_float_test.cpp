#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <tiffio.h>

#include <cmath>
#include <limits>

#include "image/codec.h"
#include "tests/image/sample_files.h"
#include "tests/image/sample_pictures.h"

namespace retouchd::image {
namespace {

using ::testing::HasSubstr;
using testing::largest_difference;
using testing::TiffKind;
using testing::write_tiff;

const DecodeLimits kLimits;

/// A pattern of 0..1 whose values 8 and 16 bits cannot hold; halves can.
cv::Mat float_pattern(int width, int height, int channels) {
  cv::Mat pattern = testing::make_pattern(width, height, CV_16UC(channels));
  pattern.convertTo(pattern, CV_32F, 1.0 / 65'535.0);
  cv::Mat halves;
  pattern.convertTo(halves, CV_16F);
  halves.convertTo(pattern, CV_32F);
  return pattern;
}

TiffKind float_kind(const cv::Mat& pixels) {
  TiffKind kind;
  kind.bits = static_cast<int>(pixels.elemSize1()) * 8;
  kind.sample_format = SAMPLEFORMAT_IEEEFP;
  kind.samples = pixels.channels();
  kind.photometric = pixels.channels() <= 2 ? PHOTOMETRIC_MINISBLACK : PHOTOMETRIC_RGB;
  if (pixels.channels() % 2 == 0) kind.extra_sample = EXTRASAMPLE_UNASSALPHA;
  return kind;
}

TEST(TiffFloat, HalvesAndSinglesOfEveryLayoutDecodeAlike) {
  for (const int channels : {1, 2, 3, 4}) {
    cv::Mat all;
    const cv::Mat colour = float_pattern(70, 45, channels >= 3 ? 3 : 1);
    const cv::Mat alpha = float_pattern(70, 45, 1);
    if (channels % 2 == 0) {
      std::vector<cv::Mat> planes;
      cv::split(colour, planes);
      planes.push_back(alpha);
      cv::merge(planes, all);
    } else {
      all = colour;
    }
    for (const int depth : {CV_16F, CV_32F}) {
      cv::Mat stored = all;
      if (depth == CV_16F) {
        cv::Mat halves;
        all.convertTo(halves, CV_16F);
        stored = cv::Mat(halves.size(), CV_16UC(channels), halves.data).clone();  // OpenCV cannot take halves apart
      }
      for (const int compression : {COMPRESSION_NONE, COMPRESSION_LZW, COMPRESSION_ADOBE_DEFLATE}) {
        for (const int tile_side : {0, 32}) {
          for (const int planar : {PLANARCONFIG_CONTIG, PLANARCONFIG_SEPARATE}) {
            for (const bool is_big_endian : {false, true}) {
              // libtiff's writer swaps the bytes before it takes the floats apart, its reader does not.
              if (is_big_endian && compression != COMPRESSION_NONE) continue;
              TiffKind kind = float_kind(stored);
              kind.compression = compression;
              kind.tile_side = tile_side;
              kind.planar = planar;
              kind.is_big_endian = is_big_endian;
              if (compression != COMPRESSION_NONE) {
                kind.more_tags = [](void* tiff, int) {
                  TIFFSetField(static_cast<TIFF*>(tiff), TIFFTAG_PREDICTOR, PREDICTOR_FLOATINGPOINT);
                };
              }
              const ByteVector file = write_tiff(stored, kind);
              const auto header = read_header(file, kLimits);
              ASSERT_TRUE(header.ok()) << header.error().message;
              EXPECT_EQ(header->bits, 32);
              const auto decoded = decode(file, kLimits);
              ASSERT_TRUE(decoded.ok()) << decoded.error().message;
              EXPECT_EQ(largest_difference(decoded->colour, colour), 0.0)
                  << channels << " channels of depth " << depth << ", compression " << compression << ", tile " << tile_side
                  << ", planar " << planar << ", big " << is_big_endian;
              if (channels % 2 == 0) {
                EXPECT_EQ(largest_difference(decoded->alpha, alpha), 0.0);
              }
              EXPECT_EQ(decoded->range.low, 0.0F);
              EXPECT_EQ(decoded->range.high, 1.0F);
              EXPECT_EQ(decoded->file_bits, 32);
              EXPECT_EQ(decoded->metadata_warning, "");
            }
          }
        }
      }
    }
  }
}

TEST(TiffFloat, ValuesBeyondOneAreScaledAndComeBackAsTheyWere) {
  cv::Mat pixels;
  float_pattern(40, 30, 3).convertTo(pixels, CV_32F, 7.0, -0.5);
  const auto decoded = decode(write_tiff(pixels, float_kind(pixels)), kLimits);
  ASSERT_TRUE(decoded.ok()) << decoded.error().message;
  double least = 0.0;
  double greatest = 0.0;
  cv::minMaxLoc(pixels.reshape(1), &least, &greatest);
  EXPECT_EQ(decoded->range.low, std::min(0.0F, static_cast<float>(least)));
  EXPECT_EQ(decoded->range.high, static_cast<float>(greatest));
  cv::minMaxLoc(decoded->colour.reshape(1), &least, &greatest);
  EXPECT_GE(least, 0.0);
  EXPECT_EQ(greatest, 1.0);

  for (const auto compression : {EncodeOptions::TiffCompression::kNone, EncodeOptions::TiffCompression::kDeflate}) {
    EncodeOptions options;
    options.tiff_compression = compression;
    const auto written = encode(*decoded, FileFormat::kTiff, options);
    ASSERT_TRUE(written.ok()) << written.error().message;
    const auto again = decode(*written, kLimits);
    ASSERT_TRUE(again.ok()) << again.error().message;
    EXPECT_FLOAT_EQ(again->range.high, decoded->range.high);
    EXPECT_LE(largest_difference(again->colour, decoded->colour), 1e-6);
  }
}

TEST(TiffFloat, WhatIsNoNumberBecomesBlackWithAWarning) {
  cv::Mat pixels = float_pattern(20, 10, 1);
  pixels.at<float>(3, 4) = std::numeric_limits<float>::quiet_NaN();
  pixels.at<float>(5, 6) = std::numeric_limits<float>::infinity();
  pixels.at<float>(7, 8) = -std::numeric_limits<float>::infinity();
  const auto decoded = decode(write_tiff(pixels, float_kind(pixels)), kLimits);
  ASSERT_TRUE(decoded.ok()) << decoded.error().message;
  EXPECT_EQ(decoded->colour.at<float>(3, 4), 0.0F);
  EXPECT_EQ(decoded->colour.at<float>(5, 6), 0.0F);
  EXPECT_EQ(decoded->colour.at<float>(7, 8), 0.0F);
  EXPECT_EQ(decoded->range.high, 1.0F);
  EXPECT_THAT(decoded->metadata_warning, HasSubstr("3 samples were no finite numbers"));
}

TEST(TiffFloat, ValuesNearTheLimitsOfFloatsKeepFinite) {
  cv::Mat pixels = float_pattern(20, 10, 1);
  pixels.at<float>(0, 0) = std::numeric_limits<float>::max();
  pixels.at<float>(0, 1) = std::numeric_limits<float>::lowest();
  const auto decoded = decode(write_tiff(pixels, float_kind(pixels)), kLimits);
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(decoded->colour.at<float>(0, 0), 1.0F);
  EXPECT_EQ(decoded->colour.at<float>(0, 1), 0.0F);
  EXPECT_EQ(decoded->colour.at<float>(5, 5), 0.5F);
}

TEST(TiffFloat, PremultipliedAlphaIsDividedOutBeforeTheRangeIsTaken) {
  const cv::Mat pixels(2, 2, CV_32FC2, cv::Scalar(0.25, 0.5));
  TiffKind kind = float_kind(pixels);
  kind.extra_sample = EXTRASAMPLE_ASSOCALPHA;
  const auto decoded = decode(write_tiff(pixels, kind), kLimits);
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(decoded->colour.at<float>(1, 1), 0.5F);
  EXPECT_EQ(decoded->alpha.at<float>(1, 1), 0.5F);
}

TEST(TiffFloat, AlphaBeyondOneIsLimited) {
  const cv::Mat pixels(2, 2, CV_32FC2, cv::Scalar(0.25, 1.5));
  const auto decoded = decode(write_tiff(pixels, float_kind(pixels)), kLimits);
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(decoded->alpha.at<float>(0, 0), 1.0F);
  EXPECT_THAT(decoded->metadata_warning, HasSubstr("limited"));
}

}  // namespace
}  // namespace retouchd::image
