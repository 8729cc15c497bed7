#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "image/codec.h"
#include "image/colour.h"
#include "image/psnr.h"
#include "tests/image/sample_files.h"
#include "tests/image/sample_pictures.h"
#include "tests/image/sample_profiles.h"

namespace retouchd::image {
namespace {

using ::testing::HasSubstr;
using testing::JpegKind;
using testing::largest_difference;
using testing::make_pattern;
using testing::make_picture;
using testing::write_jpeg;

const DecodeLimits kLimits;

/// The sampling factors of the first component, from the frame header.
int sampling_of(const ByteVector& file) {
  for (std::size_t at = 2; at + 12 < file.size();) {
    if (file[at + 1] == 0xC0) return file[at + 11];
    at += 2 + (static_cast<std::size_t>(file[at + 2]) << 8 | file[at + 3]);
  }
  return 0;
}

TEST(Jpeg, GrayStaysOneChannel) {
  const Picture picture = make_picture(77, 51, CV_8UC1);
  const auto file = encode(picture, FileFormat::kJpeg, {});
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(read_header(*file, kLimits)->channels, 1);
  const auto decoded = decode(*file, kLimits);
  ASSERT_TRUE(decoded.ok());
  EXPECT_TRUE(decoded->is_gray());
  EXPECT_LE(largest_difference(decoded->colour, picture.colour), 4.0);
}

TEST(Jpeg, HighQualityKeepsFullColourResolution) {
  const Picture picture = make_picture(64, 64, CV_8UC3);
  EncodeOptions options;
  options.jpeg_quality = 90;
  EXPECT_EQ(sampling_of(*encode(picture, FileFormat::kJpeg, options)), 0x11);
  options.jpeg_quality = 89;
  EXPECT_EQ(sampling_of(*encode(picture, FileFormat::kJpeg, options)), 0x22);
}

TEST(Jpeg, ProgressiveDecodesLikeBaseline) {
  const cv::Mat pixels = make_pattern(100, 60, CV_8UC3);
  const auto progressive = write_jpeg(pixels, JpegKind::kProgressive);
  EXPECT_TRUE(read_header(progressive, kLimits)->progressive);
  const auto baseline = write_jpeg(pixels, JpegKind::kBaseline);
  EXPECT_FALSE(read_header(baseline, kLimits)->progressive);
  const auto a = decode(progressive, kLimits);
  const auto b = decode(baseline, kLimits);
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_EQ(largest_difference(a->colour, b->colour), 0.0);
}

TEST(Jpeg, ArithmeticCodingIsDecoded) {
  const cv::Mat pixels = make_pattern(40, 30, CV_8UC3);
  const auto decoded = decode(write_jpeg(pixels, JpegKind::kArithmetic), kLimits);
  ASSERT_TRUE(decoded.ok()) << decoded.error().message;
  EXPECT_LE(largest_difference(decoded->colour, pixels), 12.0);
}

TEST(Jpeg, CmykBecomesSrgbThroughItsProfile) {
  const ByteVector icc = testing::make_cmyk_profile();
  cv::Mat inks(32, 48, CV_8UC4);
  for (int y = 0; y < inks.rows; ++y) {
    for (int x = 0; x < inks.cols; ++x) {
      inks.at<cv::Vec4b>(y, x) = cv::Vec4b(static_cast<std::uint8_t>(4 * x), static_cast<std::uint8_t>(6 * y), 40, 20);
    }
  }
  HeapPlanes memory;
  const auto expected = cmyk_to_srgb(inks, icc, memory);
  ASSERT_TRUE(expected.ok());
  for (const JpegKind kind : {JpegKind::kCmyk, JpegKind::kAdobeCmyk, JpegKind::kAdobeYcck}) {
    const ByteVector file = write_jpeg(inks, kind, icc);
    const auto header = read_header(file, kLimits);
    ASSERT_TRUE(header.ok());
    EXPECT_EQ(header->channels, 3);
    const auto decoded = decode(file, kLimits);
    ASSERT_TRUE(decoded.ok()) << decoded.error().message;
    EXPECT_LE(largest_difference(decoded->colour, *expected), 12.0);
    EXPECT_EQ(decoded->metadata->icc, srgb_profile());
    EXPECT_THAT(decoded->metadata_warning, HasSubstr("converted from CMYK to sRGB"));
    EXPECT_TRUE(encode(*decoded, FileFormat::kJpeg, {}).ok());
  }
}

TEST(Jpeg, CmykWithoutAProfileIsRefused) {
  const auto refused = decode(write_jpeg(make_pattern(20, 20, CV_8UC3), JpegKind::kCmyk), kLimits);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kUnsupportedFormat);
  EXPECT_THAT(refused.error().message, HasSubstr("CMYK without an ICC profile"));
}

TEST(Jpeg, FilesLargerThanABufferAreWrittenPieceByPiece) {
  Picture picture;
  picture.colour = cv::Mat(400, 500, CV_8UC3);
  cv::RNG(1).fill(picture.colour, cv::RNG::UNIFORM, 0, 256);
  const auto file = encode(picture, FileFormat::kJpeg, {});
  ASSERT_TRUE(file.ok());
  EXPECT_GT(file->size(), 200'000U);
  const auto decoded = decode(*file, kLimits);
  ASSERT_TRUE(decoded.ok());
  EXPECT_GT(psnr(decoded->colour, picture.colour), 30.0);
}

/// Takes some bytes, then none.
class SmallDisk final : public OutputFile {
 public:
  explicit SmallDisk(std::uint64_t room) : room_(room) {}
  bool write_at(std::uint64_t offset, std::span<const std::uint8_t> bytes) noexcept override {
    if (offset + bytes.size() > room_) errno_ = ENOSPC;
    if (!failed()) size_ = std::max(size_, offset + bytes.size());
    return !failed();
  }
  std::size_t read_at(std::uint64_t /*offset*/, std::span<std::uint8_t> /*to*/) noexcept override { return 0; }
  [[nodiscard]] std::uint64_t size() const noexcept override { return size_; }

 private:
  std::uint64_t room_;
  std::uint64_t size_ = 0;
};

TEST(Jpeg, AFullDiskIsTheError) {
  Picture picture;
  picture.colour = cv::Mat(400, 500, CV_8UC3);
  cv::RNG(1).fill(picture.colour, cv::RNG::UNIFORM, 0, 256);
  for (const std::uint64_t room : {0U, 100'000U}) {
    SmallDisk disk(room);
    const auto refused = encode(picture, FileFormat::kJpeg, {}, disk);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, ErrorCode::kDiskFull);
  }
}

TEST(Jpeg, LosslessAnd12BitsAreRefusedByName) {
  auto file = write_jpeg(make_pattern(20, 20, CV_8UC3), JpegKind::kBaseline);
  constexpr std::array<std::uint8_t, 2> kFrame{0xFF, 0xC0};
  const auto frame = std::search(file.begin(), file.end(), kFrame.begin(), kFrame.end());
  ASSERT_NE(frame, file.end());
  frame[4] = 12;
  EXPECT_EQ(read_header(file, kLimits).error().code, ErrorCode::kUnsupportedFormat);
  EXPECT_THAT(read_header(file, kLimits).error().message, HasSubstr("12 bits"));
  frame[4] = 8;
  for (const int marker : {0xC3, 0xCB}) {
    frame[1] = static_cast<std::uint8_t>(marker);
    EXPECT_EQ(read_header(file, kLimits).error().code, ErrorCode::kUnsupportedFormat);
    EXPECT_THAT(read_header(file, kLimits).error().message, HasSubstr("lossless"));
  }
}

TEST(Jpeg, TooManyScansAreRefused) {
  DecodeLimits limits;
  limits.jpeg_scans = 3;
  const auto refused = decode(write_jpeg(make_pattern(200, 200, CV_8UC3), JpegKind::kProgressive), limits);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kPictureTooLarge);
  EXPECT_THAT(refused.error().message, HasSubstr("limits.jpeg_scans"));
}

TEST(Jpeg, BytesAfterTheEndAreIgnored) {
  auto file = write_jpeg(make_pattern(20, 20, CV_8UC3), JpegKind::kBaseline);
  file.insert(file.end(), 1000, 0x55);
  EXPECT_TRUE(decode(file, kLimits).ok());
}

TEST(Jpeg, DamagedPixelsAreCorruptNotGray) {
  auto file = write_jpeg(make_pattern(300, 300, CV_8UC3), JpegKind::kBaseline);
  // A marker in the middle of the scan ends it for the decoder.
  file[file.size() / 2] = 0xFF;
  file[file.size() / 2 + 1] = 0xD9;
  const auto refused = decode(file, kLimits);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kCorruptPicture);
  EXPECT_THAT(refused.error().message, HasSubstr("the JPEG is damaged"));
}

}  // namespace
}  // namespace retouchd::image
