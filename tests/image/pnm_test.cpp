#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "image/codec.h"
#include "tests/image/sample_pictures.h"

namespace retouchd::image {
namespace {

using namespace std::string_literals;
using ::testing::HasSubstr;
using testing::largest_difference;
using testing::make_picture;

const DecodeLimits kLimits;

Result<Picture> decode_text(const std::string& text) {
  return decode({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}, kLimits);
}

template <class Sample>
std::vector<int> samples_of(const Result<Picture>& picture) {
  std::vector<int> samples;
  if (!picture.ok()) return samples;
  const cv::Mat flat = picture->colour.reshape(1);
  for (int y = 0; y < flat.rows; ++y) samples.insert(samples.end(), flat.ptr<Sample>(y), flat.ptr<Sample>(y) + flat.cols);
  return samples;
}

TEST(Pnm, EverySampleComesBack) {
  for (const int type : {CV_8UC1, CV_8UC3, CV_16UC1, CV_16UC3}) {
    const Picture picture = make_picture(61, 47, type);
    std::string warning;
    const auto file = encode(picture, FileFormat::kPnm, {}, &warning);
    ASSERT_TRUE(file.ok()) << file.error().message;
    EXPECT_EQ(warning, "");
    EXPECT_EQ((*file)[1], picture.is_gray() ? '5' : '6');
    const auto header = read_header(*file, kLimits);
    ASSERT_TRUE(header.ok());
    EXPECT_EQ(header->format, FileFormat::kPnm);
    EXPECT_EQ(header->bits, picture.is_16_bit() ? 16 : 8);
    const auto decoded = decode(*file, kLimits);
    ASSERT_TRUE(decoded.ok()) << decoded.error().message;
    EXPECT_EQ(largest_difference(decoded->colour, picture.colour), 0.0);
  }
}

TEST(Pnm, SixteenBitsAreBigEndian) {
  EXPECT_EQ(samples_of<std::uint16_t>(decode_text("P5 2 1 65535\n\x01\x02\xFF\xFE"s)), (std::vector{0x0102, 0xFFFE}));
}

TEST(Pnm, PlainAndBinaryKindsAreRead) {
  EXPECT_EQ(samples_of<std::uint8_t>(decode_text("P1\n3 2\n1 0 1\n0 1 0\n")), (std::vector{0, 255, 0, 255, 0, 255}));
  EXPECT_EQ(samples_of<std::uint8_t>(decode_text("P1 3 2 101010")), (std::vector{0, 255, 0, 255, 0, 255}));
  EXPECT_EQ(samples_of<std::uint8_t>(decode_text("P2\n2 1\n255\n7 200")), (std::vector{7, 200}));
  EXPECT_EQ(samples_of<std::uint8_t>(decode_text("P3\n1 1\n255\n7 8\n9\n")), (std::vector{7, 8, 9}));
  EXPECT_EQ(samples_of<std::uint8_t>(decode_text("P4\n9 1\n\xAA\x80"s)), (std::vector{0, 255, 0, 255, 0, 255, 0, 255, 0}));
  EXPECT_EQ(samples_of<std::uint8_t>(decode_text("P5\t2\r1\n255\n\x07\xC8"s)), (std::vector{7, 200}));
  EXPECT_EQ(samples_of<std::uint8_t>(decode_text("P6 1 1 255 \x07\x08\x09"s)), (std::vector{7, 8, 9}));
}

TEST(Pnm, CommentsAreSkipped) {
  EXPECT_EQ(samples_of<std::uint8_t>(decode_text("P5 # a comment 9 9\n2# and another\n 1\n#\n255\n\x07#"s)),
            (std::vector{7, int{'#'}}));
  EXPECT_EQ(samples_of<std::uint8_t>(decode_text("P2#\n2 1 255 7 # seven\n 9")), (std::vector{7, 9}));
}

TEST(Pnm, OtherLargestValuesFillTheWholeRange) {
  EXPECT_EQ(samples_of<std::uint8_t>(decode_text("P2 3 1 1 0 1 1")), (std::vector{0, 255, 255}));
  EXPECT_EQ(samples_of<std::uint8_t>(decode_text("P5 3 1 15 \x00\x07\x0F"s)), (std::vector{0, 119, 255}));
  EXPECT_EQ(samples_of<std::uint16_t>(decode_text("P5 3 1 1023 \x00\x00\x02\x00\x03\xFF"s)), (std::vector{0, 32'800, 65'535}));
  EXPECT_EQ(samples_of<std::uint16_t>(decode_text("P2 2 1 256 128 256")), (std::vector{32'768, 65'535}));
}

TEST(Pnm, CutFilesAreTruncated) {
  for (const std::string& text : {"P5"s, "P5 2"s, "P5 2 2 255"s, "P5 2 2 255 \x01\x02\x03"s, "P2 2 1 255 7"s, "P1 2 1 1"s,
                                  "P4 9 2 \x01"s, "P6 1 1 256 \x01\x02\x03"s}) {
    const auto refused = decode_text(text);
    ASSERT_FALSE(refused.ok()) << text;
    EXPECT_EQ(refused.error().code, ErrorCode::kTruncatedPicture) << text;
  }
}

TEST(Pnm, NonsenseIsCorrupt) {
  for (const std::string& text :
       {"P5 x 2 255 abcd"s, "P5 0 2 255 "s, "P5 2 2 0 abcd"s, "P5 2 2 65536 abcdabcd"s, "P2 1 1 255 -7"s, "P2 1 1 9 10"s,
        "P1 2 1 1 2"s, "P5 99999999999999999999 2 255 a"s, "P5 1 1 255#a"s}) {
    const auto refused = decode_text(text);
    ASSERT_FALSE(refused.ok()) << text;
    EXPECT_EQ(refused.error().code, ErrorCode::kCorruptPicture) << text;
  }
}

TEST(Pnm, LargeClaimsCostNothing) {
  EXPECT_EQ(decode_text("P5 60000 60000 255 a").error().code, ErrorCode::kPictureTooLarge);
  EXPECT_EQ(decode_text("P5 999999999 999999999 255 a").error().code, ErrorCode::kPictureTooLarge);
}

TEST(Pnm, WhatHasNoPlaceIsNamedOnce) {
  Picture picture = make_picture(20, 10, CV_8UC3);
  Metadata metadata;
  metadata.exif = testing::make_exif(1);
  metadata.icc = testing::make_icc("RGB ");
  metadata.iptc = testing::make_iptc();
  picture.metadata = std::make_shared<const Metadata>(metadata);
  std::string warning;
  ASSERT_TRUE(encode(picture, FileFormat::kPnm, {}, &warning).ok());
  EXPECT_THAT(warning, HasSubstr("a PNM file has no place for EXIF, IPTC, the ICC profile"));
}

}  // namespace
}  // namespace retouchd::image
