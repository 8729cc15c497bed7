#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <tiffio.h>

#include "image/codec.h"
#include "tests/image/sample_files.h"
#include "tests/image/sample_pictures.h"
#include "tests/image/sample_profiles.h"

namespace retouchd::image {
namespace {

using ::testing::HasSubstr;
using testing::largest_difference;
using testing::make_pattern;
using testing::TiffKind;
using testing::write_tiff;

const DecodeLimits kLimits;

TEST(Tiff, StripsTilesAndPlanesOfEveryCompressionDecodeAlike) {
  for (const int type : {CV_8UC1, CV_8UC3, CV_16UC1, CV_16UC3}) {
    const cv::Mat pixels = make_pattern(70, 45, type);
    for (const int compression : {COMPRESSION_NONE, COMPRESSION_LZW, COMPRESSION_ADOBE_DEFLATE, COMPRESSION_DEFLATE,
                                  COMPRESSION_PACKBITS, COMPRESSION_ZSTD, COMPRESSION_LZMA}) {
      if (TIFFIsCODECConfigured(static_cast<std::uint16_t>(compression)) == 0) continue;
      for (const int tile_side : {0, 32}) {
        for (const int planar : {PLANARCONFIG_CONTIG, PLANARCONFIG_SEPARATE}) {
          for (const bool is_big_endian : {false, true}) {
            TiffKind kind;
            kind.compression = compression;
            kind.photometric = pixels.channels() == 1 ? PHOTOMETRIC_MINISBLACK : PHOTOMETRIC_RGB;
            kind.bits = pixels.depth() == CV_16U ? 16 : 8;
            kind.samples = pixels.channels();
            kind.tile_side = tile_side;
            kind.planar = planar;
            kind.is_big_endian = is_big_endian;
            const auto decoded = decode(write_tiff(pixels, kind), kLimits);
            ASSERT_TRUE(decoded.ok()) << decoded.error().message;
            EXPECT_EQ(largest_difference(decoded->colour, pixels), 0.0)
                << "type " << type << ", compression " << compression << ", tile " << tile_side << ", planar " << planar;
            EXPECT_EQ(decoded->metadata_warning, "");
          }
        }
      }
    }
  }
}

TEST(Tiff, JpegInsideIsDecodedToRgb) {
  const cv::Mat pixels = make_pattern(64, 48, CV_8UC3);
  for (const int tile_side : {0, 32}) {
    TiffKind kind;
    kind.compression = COMPRESSION_JPEG;
    kind.photometric = PHOTOMETRIC_YCBCR;
    kind.tile_side = tile_side;
    kind.rows_per_strip = 16;
    const auto decoded = decode(write_tiff(pixels, kind), kLimits);
    ASSERT_TRUE(decoded.ok()) << decoded.error().message;
    cv::Mat difference;
    cv::absdiff(decoded->colour, pixels, difference);
    EXPECT_LE(cv::mean(difference)[0], 4.0);
  }
}

TEST(Tiff, OneBitWithWhiteAsZeroIsTurnedAround) {
  TiffKind kind;
  kind.photometric = PHOTOMETRIC_MINISWHITE;
  kind.bits = 1;
  kind.samples = 1;
  for (const int compression : {COMPRESSION_NONE, COMPRESSION_CCITTFAX4}) {
    kind.compression = compression;
    const auto decoded = decode(write_tiff(10, 2, kind,
                                           [](int, int, int, int) {
                                             return ByteVector{0b10100000, 0b01000000};
                                           }),
                                kLimits);
    ASSERT_TRUE(decoded.ok()) << decoded.error().message;
    ASSERT_EQ(decoded->colour.type(), CV_8UC1);
    const std::vector<int> expected{0, 255, 0, 255, 255, 255, 255, 255, 255, 0};
    for (int x = 0; x < 10; ++x) EXPECT_EQ(decoded->colour.at<std::uint8_t>(1, x), expected[static_cast<std::size_t>(x)]);
  }
}

TEST(Tiff, FourBitGrayUsesTheFullRange) {
  TiffKind kind;
  kind.photometric = PHOTOMETRIC_MINISBLACK;
  kind.bits = 4;
  kind.samples = 1;
  const auto decoded = decode(write_tiff(3, 1, kind, [](int, int, int, int) { return ByteVector{0x0F, 0x80}; }), kLimits);
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(decoded->colour.at<std::uint8_t>(0, 0), 0);
  EXPECT_EQ(decoded->colour.at<std::uint8_t>(0, 1), 255);
  EXPECT_EQ(decoded->colour.at<std::uint8_t>(0, 2), 136);
}

TEST(Tiff, PaletteBecomesColour) {
  std::vector<std::uint16_t> palette(3 * 256);
  palette[5] = 0xFF00;
  palette[256 + 5] = 0x8000;
  palette[512 + 5] = 0x0100;
  TiffKind kind;
  kind.photometric = PHOTOMETRIC_PALETTE;
  kind.samples = 1;
  kind.palette = palette.data();
  const auto decoded = decode(write_tiff(1, 1, kind, [](int, int, int, int) { return ByteVector{5}; }), kLimits);
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(decoded->colour.at<cv::Vec3b>(0, 0), cv::Vec3b(255, 128, 1));
}

TEST(Tiff, PremultipliedAlphaIsDividedOut) {
  TiffKind kind;
  kind.samples = 4;
  kind.extra_sample = EXTRASAMPLE_ASSOCALPHA;
  const auto decoded = decode(write_tiff(1, 1, kind, [](int, int, int, int) { return ByteVector{64, 32, 0, 128}; }), kLimits);
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(decoded->colour.at<cv::Vec3b>(0, 0), cv::Vec3b(128, 64, 0));
  EXPECT_EQ(decoded->alpha.at<std::uint8_t>(0, 0), 128);
}

TEST(Tiff, AFifthSampleIsDroppedWithAWarning) {
  TiffKind kind;
  kind.samples = 5;
  for (const int planar : {PLANARCONFIG_CONTIG, PLANARCONFIG_SEPARATE}) {
    kind.planar = planar;
    const auto row = [&](int plane, int, int, int) {
      const ByteVector all{10, 20, 30, 40, 50};
      return planar == PLANARCONFIG_CONTIG ? all : ByteVector{all[static_cast<std::size_t>(plane)]};
    };
    const auto decoded = decode(write_tiff(1, 1, kind, row), kLimits);
    ASSERT_TRUE(decoded.ok()) << decoded.error().message;
    EXPECT_EQ(decoded->colour.at<cv::Vec3b>(0, 0), cv::Vec3b(10, 20, 30));
    EXPECT_EQ(decoded->alpha.at<std::uint8_t>(0, 0), 40);
    EXPECT_THAT(decoded->metadata_warning, HasSubstr("extra channels"));
  }
}

TEST(Tiff, OrientationTagTurnsThePictureAndItsResolution) {
  const cv::Mat pixels = make_pattern(30, 20, CV_8UC3);
  TiffKind kind;
  kind.orientation = 6;
  const auto decoded = decode(write_tiff(pixels, kind), kLimits);
  ASSERT_TRUE(decoded.ok());
  cv::Mat turned;
  cv::rotate(pixels, turned, cv::ROTATE_90_CLOCKWISE);
  EXPECT_EQ(largest_difference(decoded->colour, turned), 0.0);
  EXPECT_NEAR(*decoded->metadata->dpi_x, 127.0, 1e-6);  // stored: 100 per cm across, 50 down
  EXPECT_NEAR(*decoded->metadata->dpi_y, 254.0, 1e-6);
}

TEST(Tiff, TwelveBitsBecomeSixteenOfFullRange) {
  TiffKind kind;
  kind.photometric = PHOTOMETRIC_MINISBLACK;
  kind.bits = 12;
  kind.samples = 1;
  const auto row = [](int, int, int, int) { return ByteVector{0x00, 0x0F, 0xFF, 0x80, 0x00}; };  // 000 FFF 800
  const auto decoded = decode(write_tiff(3, 1, kind, row), kLimits);
  ASSERT_TRUE(decoded.ok()) << decoded.error().message;
  ASSERT_EQ(decoded->colour.type(), CV_16UC1);
  EXPECT_EQ(decoded->colour.at<std::uint16_t>(0, 0), 0);
  EXPECT_EQ(decoded->colour.at<std::uint16_t>(0, 1), 65'535);
  EXPECT_EQ(decoded->colour.at<std::uint16_t>(0, 2), 32'776);  // 2048 / 4095
  EXPECT_EQ(decoded->file_bits, 16);
}

TEST(Tiff, LosslessWebpInsideIsRead) {
  if (TIFFIsCODECConfigured(COMPRESSION_WEBP) == 0) GTEST_SKIP() << "this libtiff has no WebP";
  const cv::Mat pixels = make_pattern(70, 45, CV_8UC3);
  TiffKind kind;
  kind.compression = COMPRESSION_WEBP;
  kind.more_tags = [](void* tiff, int) { TIFFSetField(static_cast<TIFF*>(tiff), TIFFTAG_WEBP_LOSSLESS, 1); };
  const auto decoded = decode(write_tiff(pixels, kind), kLimits);
  ASSERT_TRUE(decoded.ok()) << decoded.error().message;
  EXPECT_EQ(largest_difference(decoded->colour, pixels), 0.0);
}

TEST(Tiff, BigTiffIsRead) {
  const cv::Mat pixels = make_pattern(30, 20, CV_8UC3);
  TiffKind kind;
  kind.is_big_tiff = true;
  const auto decoded = decode(write_tiff(pixels, kind), kLimits);
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(largest_difference(decoded->colour, pixels), 0.0);
}

TEST(Tiff, CmykBecomesSrgbThroughItsProfile) {
  const ByteVector profile = testing::make_cmyk_profile();
  for (const int type : {CV_8UC4, CV_16UC4}) {
    const double full = CV_MAT_DEPTH(type) == CV_16U ? 65'535 : 255;
    cv::Mat inks(20, 30, type, cv::Scalar(0, 0, 0, 0));
    inks(cv::Rect(0, 0, 10, 20)).setTo(cv::Scalar(0, 0, 0, full));
    TiffKind kind;
    kind.photometric = PHOTOMETRIC_SEPARATED;
    kind.samples = 4;
    kind.bits = CV_MAT_DEPTH(type) == CV_16U ? 16 : 8;
    const auto refused = read_header(write_tiff(inks, kind), kLimits);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, ErrorCode::kUnsupportedFormat);
    EXPECT_THAT(refused.error().message, HasSubstr("CMYK without an ICC profile"));

    kind.more_tags = [&](void* tiff, int) {
      TIFFSetField(static_cast<TIFF*>(tiff), TIFFTAG_ICCPROFILE, static_cast<std::uint32_t>(profile.size()), profile.data());
    };
    for (const int planar : {PLANARCONFIG_CONTIG, PLANARCONFIG_SEPARATE}) {
      kind.planar = planar;
      const auto decoded = decode(write_tiff(inks, kind), kLimits);
      ASSERT_TRUE(decoded.ok()) << decoded.error().message;
      ASSERT_EQ(decoded->colour.type(), CV_MAKETYPE(CV_MAT_DEPTH(type), 3));
      const cv::Scalar dark = cv::mean(decoded->colour(cv::Rect(0, 0, 10, 20)));
      const cv::Scalar paper = cv::mean(decoded->colour(cv::Rect(12, 0, 10, 20)));
      EXPECT_LT(dark[0], 0.3 * full);
      EXPECT_GT(paper[0], 0.9 * full);
      EXPECT_THAT(decoded->metadata_warning, HasSubstr("converted to sRGB"));
    }
  }
}

TEST(Tiff, WhatIsNotRestoredIsRefusedByName) {
  const auto row = [](int, int, int, int) { return ByteVector(128); };
  const auto refusal = [&](const TiffKind& kind) {
    const auto header = read_header(write_tiff(2, 2, kind, row), kLimits);
    EXPECT_FALSE(header.ok());
    if (header.ok()) return std::string();
    EXPECT_EQ(header.error().code, ErrorCode::kUnsupportedFormat) << header.error().message;
    return header.error().message;
  };
  TiffKind kind;
  kind.photometric = PHOTOMETRIC_CIELAB;
  EXPECT_THAT(refusal(kind), HasSubstr("Lab"));
  kind.photometric = PHOTOMETRIC_YCBCR;
  EXPECT_THAT(refusal(kind), HasSubstr("YCbCr without JPEG"));
  kind = {};
  kind.bits = 64;
  kind.sample_format = SAMPLEFORMAT_IEEEFP;
  EXPECT_THAT(refusal(kind), HasSubstr("floating point samples of 64 bits"));
  kind.bits = 32;
  kind.sample_format = SAMPLEFORMAT_UINT;
  EXPECT_THAT(refusal(kind), HasSubstr("32 bits"));
  kind.bits = 16;
  kind.sample_format = SAMPLEFORMAT_INT;
  EXPECT_THAT(refusal(kind), HasSubstr("signed"));
}

}  // namespace
}  // namespace retouchd::image
