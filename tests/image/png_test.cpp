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

TEST(Png, TextsAreReadInEitherAlphabet) {
  const ByteVector latin1 = text_bytes("Title" + std::string(1, '\0') + "Gr\xFC\xDF" + "e");
  const ByteVector utf8 = text_bytes("Comment" + std::string(5, '\0') + "Grüße");
  const ByteVector deflated = text_bytes("Author" + std::string(2, '\0')) + testing::deflated(text_bytes("Ansel"));
  const ByteVector thumbnail = text_bytes("Thumb::URI" + std::string(1, '\0') + "file:///old.png");
  const auto picture = decode(
      write_png({1, 1, 8, kGray},
                png_chunk("tEXt", latin1) + png_chunk("iTXt", utf8) + png_chunk("zTXt", deflated) + png_chunk("tEXt", thumbnail),
                {0, 9}),
      kLimits);
  ASSERT_TRUE(picture.ok());
  ASSERT_TRUE(picture->metadata);
  EXPECT_EQ(picture->metadata->comment, "Grüße");
  const std::vector<std::pair<std::string, std::string>> expected{{"Title", "Grüße"}, {"Author", "Ansel"}};
  EXPECT_EQ(picture->metadata->texts, expected);
}

TEST(Png, AllTextsTogetherStayWithinTheLimit) {
  ByteVector chunks;
  for (int i = 0; i < 30; ++i) {
    chunks = chunks + png_chunk("zTXt", text_bytes("Title" + std::string(2, '\0')) + testing::deflated(ByteVector(10'000, 'a')));
  }
  DecodeLimits limits;
  limits.metadata = Bytes{100'000};
  const auto picture = decode(write_png({1, 1, 8, kGray}, chunks, {0, 9}), limits);
  ASSERT_TRUE(picture.ok());
  EXPECT_THAT(picture->metadata_warning, HasSubstr("limits.metadata"));
  EXPECT_EQ(picture->metadata->texts.size(), 10U);
}

TEST(Png, KeywordsThatPngForbidsAreLeftOut) {
  Picture picture = testing::make_picture(4, 3, CV_8UC3);
  Metadata metadata;
  metadata.texts = {{"", "a"}, {std::string(80, 'k'), "b"}, {"tab\tbed", "c"}, {" Title", "d"}, {"Title", "e"}};
  picture.metadata = std::make_shared<const Metadata>(metadata);
  std::string warning;
  const auto file = encode(picture, FileFormat::kPng, {}, &warning);
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_THAT(warning, HasSubstr("name"));
  ASSERT_EQ(decode(*file, kLimits)->metadata->texts.size(), 1U);
}

TEST(Png, InterlacedPicturesWithAlphaAreWhole) {
  // Adam7 of 3x3 pixels, gray with alpha: passes 1, 4 (from x 2), 5 (row 2), 6, 7; the others have no pixels.
  const ByteVector rows{0, 1, 201,                   // pass 1: (0,0)
                        0, 3, 203,                   // pass 4: (2,0)
                        0, 7, 207, 9, 209,           // pass 5: (0,2) (2,2)
                        0, 2, 202,                   // pass 6: (1,0)
                        0, 8, 208,                   //         (1,2)
                        0, 4, 204, 5, 205, 6, 206};  // pass 7: row 1
  ByteVector file = write_png({3, 3, 8, 4}, {}, rows);
  file[28] = 1;  // interlaced
  const ByteVector header = png_chunk("IHDR", ByteVector(file.begin() + 16, file.begin() + 29));
  std::copy(header.begin(), header.end(), file.begin() + 8);
  const auto picture = decode(file, kLimits);
  ASSERT_TRUE(picture.ok()) << picture.error().message;
  for (int i = 0; i < 9; ++i) {
    EXPECT_EQ(picture->colour.at<std::uint8_t>(i / 3, i % 3), i + 1);
    EXPECT_EQ(picture->alpha.at<std::uint8_t>(i / 3, i % 3), i + 201);
  }
}

TEST(Png, DrawingsArePackedByWhatRepeats) {
  Picture drawing;
  drawing.colour = cv::Mat(200, 200, CV_8UC3, cv::Scalar::all(255));
  for (int y = 0; y < 200; y += 5) drawing.colour.row(y).setTo(cv::Scalar(10, 20, 30));
  for (int x = 0; x < 200; x += 7) drawing.colour.col(x).setTo(cv::Scalar(200, 20, 30));
  EncodeOptions thorough;
  thorough.png_level = 9;
  const std::size_t least = encode(drawing, FileFormat::kPng, thorough)->size();
  EXPECT_LT(encode(drawing, FileFormat::kPng, {})->size(), 2 * least);
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
