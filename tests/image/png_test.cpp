#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "image/codec.h"
#include "tests/image/sample_files.h"
#include "tests/image/sample_pictures.h"

namespace retouchd::image {
namespace {

using ::testing::HasSubstr;
using testing::png_chunk;
using testing::PngHeader;
using testing::write_png;

const DecodeLimits kLimits;
constexpr int kGray = 0;
constexpr int kRgb = 2;
constexpr int kPalette = 3;

ByteVector operator+(ByteVector a, const ByteVector& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

ByteVector text_bytes(std::string_view text) { return {text.begin(), text.end()}; }

TEST(Png, PaletteBecomesColour) {
  const auto file = write_png({2, 1, 8, kPalette}, png_chunk("PLTE", {10, 20, 30, 40, 50, 60}), {0, 1, 0});
  EXPECT_EQ(read_header(file, kLimits)->channels, 3);
  const auto picture = decode(file, kLimits);
  ASSERT_TRUE(picture.ok()) << picture.error().message;
  ASSERT_EQ(picture->colour.type(), CV_8UC3);
  EXPECT_EQ(picture->colour.at<cv::Vec3b>(0, 0), cv::Vec3b(40, 50, 60));
  EXPECT_EQ(picture->colour.at<cv::Vec3b>(0, 1), cv::Vec3b(10, 20, 30));
  EXPECT_TRUE(picture->alpha.empty());
}

TEST(Png, PaletteWithTransparencyHasAlpha) {
  const auto file =
      write_png({2, 1, 4, kPalette}, png_chunk("PLTE", {10, 20, 30, 40, 50, 60}) + png_chunk("tRNS", {7}), {0, 0x01});
  EXPECT_EQ(read_header(file, kLimits)->channels, 4);
  const auto picture = decode(file, kLimits);
  ASSERT_TRUE(picture.ok());
  EXPECT_EQ(picture->alpha.at<std::uint8_t>(0, 0), 7);
  EXPECT_EQ(picture->alpha.at<std::uint8_t>(0, 1), 255);
}

TEST(Png, OneBitBecomesBlackAndWhite) {
  const auto picture = decode(write_png({10, 1, 1, kGray}, {}, {0, 0b10100000, 0b01000000}), kLimits);
  ASSERT_TRUE(picture.ok());
  ASSERT_EQ(picture->colour.type(), CV_8UC1);
  const std::vector<int> expected{255, 0, 255, 0, 0, 0, 0, 0, 0, 255};
  for (int x = 0; x < 10; ++x) EXPECT_EQ(picture->colour.at<std::uint8_t>(0, x), expected[static_cast<std::size_t>(x)]);
}

TEST(Png, SixteenBitsAreBigEndian) {
  const auto picture = decode(write_png({1, 1, 16, kRgb}, {}, {0, 0x12, 0x34, 0x56, 0x78, 0x9A, 0xBC}), kLimits);
  ASSERT_TRUE(picture.ok());
  ASSERT_EQ(picture->colour.type(), CV_16UC3);
  EXPECT_EQ(picture->colour.at<cv::Vec3w>(0, 0), cv::Vec3w(0x1234, 0x5678, 0x9ABC));
}

TEST(Png, OnlyTheFirstPictureOfAnAnimationIsRestoredAndItSaysSo) {
  const auto picture = decode(write_png({1, 1, 8, kGray}, png_chunk("acTL", {0, 0, 0, 2, 0, 0, 0, 0}), {0, 9}), kLimits);
  ASSERT_TRUE(picture.ok());
  EXPECT_THAT(picture->metadata_warning, HasSubstr("animation"));
}

TEST(Png, GammaAndChromaticitiesStayWithPng) {
  const ByteVector gamma = png_chunk("gAMA", {0, 0, 0xB1, 0x8F});
  const auto picture = decode(write_png({1, 1, 8, kRgb}, gamma, {0, 1, 2, 3}), kLimits);
  ASSERT_TRUE(picture.ok());
  ASSERT_TRUE(picture->metadata);
  EXPECT_EQ(picture->metadata->gamma, 45'455);
  const auto again = decode(*encode(*picture, FileFormat::kPng, {}), kLimits);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->metadata->gamma, 45'455);
}

TEST(Png, ReadsTheXmpThatImageMagickWrites) {
  const std::string xmp = testing::make_xmp();
  std::string text = "Raw profile type xmp" + std::string(2, '\0');
  ByteVector profile = text_bytes("\nxmp\n     " + std::to_string(xmp.size()) + "\n");
  for (const char c : xmp) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    profile.push_back(static_cast<std::uint8_t>(kDigits[static_cast<unsigned char>(c) >> 4]));
    profile.push_back(static_cast<std::uint8_t>(kDigits[c & 15]));
  }
  const auto picture =
      decode(write_png({1, 1, 8, kGray}, png_chunk("zTXt", text_bytes(text) + testing::deflated(profile)), {0, 9}), kLimits);
  ASSERT_TRUE(picture.ok());
  ASSERT_TRUE(picture->metadata);
  EXPECT_EQ(picture->metadata->xmp, xmp);
}

TEST(Png, DeflatedTextThatExplodesIsLeftOut) {
  ByteVector chunk = text_bytes(std::string("XML:com.adobe.xmp") + std::string("\0\1\0\0\0", 5));
  chunk = chunk + testing::deflated(ByteVector(64U << 20, 'a'));
  const auto picture = decode(write_png({1, 1, 8, kGray}, png_chunk("iTXt", chunk), {0, 9}), kLimits);
  ASSERT_TRUE(picture.ok());
  EXPECT_THAT(picture->metadata_warning, HasSubstr("limits.metadata"));
}

TEST(Png, ProfileThatLibpngRefusesIsAWarning) {
  ByteVector chunk = text_bytes(std::string("icc") + std::string(2, '\0'));
  const auto picture =
      decode(write_png({1, 1, 8, kGray}, png_chunk("iCCP", chunk + testing::deflated(ByteVector(200, 1))), {0, 9}), kLimits);
  ASSERT_TRUE(picture.ok());
  EXPECT_THAT(picture->metadata_warning, HasSubstr("iCCP"));
}

TEST(Png, BadChecksumOfPixelsIsCorrupt) {
  auto file = write_png({1, 1, 8, kGray}, {}, {0, 9});
  file[file.size() - 13] ^= 1;  // the CRC of IDAT, before the 12 bytes of IEND
  const auto refused = decode(file, kLimits);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kCorruptPicture);
}

TEST(Png, TooFewRowsAreCorrupt) {
  const auto refused = decode(write_png({1, 100, 8, kGray}, {}, {0, 9}), kLimits);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kCorruptPicture);
}

}  // namespace
}  // namespace retouchd::image
