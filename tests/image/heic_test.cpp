#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <libheif/heif.h>

#include <opencv2/core.hpp>

#include "image/codec.h"
#include "image/format_codec.h"
#include "image/metadata.h"
#include "image/orientation.h"
#include "image/psnr.h"
#include "tests/image/decoded.h"
#include "tests/image/heic_files.h"
#include "tests/image/sample_pictures.h"

namespace retouchd::image {
namespace {

using testing::decoded;
using ::testing::HasSubstr;
using testing::HeicKind;
using testing::largest_difference;
using testing::make_pattern;
using testing::make_picture;
using testing::write_heic;

const DecodeLimits kLimits;

class Heic : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!testing::can_write_heic()) GTEST_SKIP() << "libheif cannot write HEVC here";
  }
};

TEST_F(Heic, ColourAndAlphaAreRead) {
  for (const bool has_alpha : {false, true}) {
    const Picture picture = make_picture(160, 120, CV_8UC3, has_alpha);
    const ByteVector file = write_heic(picture.colour, picture.alpha, {});
    const auto header = read_header(file, kLimits);
    ASSERT_TRUE(header.ok()) << header.error().message;
    EXPECT_EQ(header->format, FileFormat::kHeic);
    EXPECT_EQ(header->width, 160U);
    EXPECT_EQ(header->height, 120U);
    EXPECT_EQ(header->channels, has_alpha ? 4 : 3);
    EXPECT_EQ(header->bits, 8);
    EXPECT_EQ(header->frames, 1);
    EXPECT_GT(header->working.value, 0U);
    const Picture back = decoded(file);
    EXPECT_EQ(back.format, FileFormat::kHeic);
    EXPECT_EQ(back.file_bits, 8);
    EXPECT_GT(psnr(back.colour, picture.colour), 38.0);
    EXPECT_EQ(back.alpha.empty(), !has_alpha);
    if (has_alpha) {
      EXPECT_GT(psnr(back.alpha, picture.alpha), 38.0);
    }
    EXPECT_EQ(back.metadata_warning, "");
  }
}

TEST_F(Heic, EveryChromaAndMatrixGivesTheSameColours) {
  const cv::Mat colour = make_pattern(160, 120, CV_8UC3);
  for (const char* chroma : {"420", "422", "444"}) {
    for (const auto matrix : {heif_matrix_coefficients_ITU_R_BT_601_6, heif_matrix_coefficients_ITU_R_BT_709_5}) {
      for (const bool is_full_range : {true, false}) {
        HeicKind kind;
        kind.chroma = chroma;
        kind.matrix = matrix;
        kind.is_full_range = is_full_range;
        kind.is_in_boxes = is_full_range;
        const Picture back = decoded(write_heic(colour, {}, kind));
        EXPECT_GT(psnr(back.colour, colour), 36.0) << chroma << ", matrix " << matrix << ", full range " << is_full_range;
      }
    }
  }
}

TEST_F(Heic, TenBitsFillTheWholeRange) {
  cv::Mat colour;
  cv::Mat stored;
  make_pattern(160, 120, CV_16UC3).copyTo(colour);
  colour.convertTo(stored, CV_16U, 1023.0 / 65'535);
  HeicKind kind;
  kind.bits = 10;
  const ByteVector file = write_heic(stored, {}, kind);
  EXPECT_EQ(read_header(file, kLimits)->bits, 16);
  const Picture back = decoded(file);
  ASSERT_EQ(back.colour.type(), CV_16UC3);
  EXPECT_EQ(back.file_bits, 16);
  EXPECT_GT(psnr(back.colour, colour), 40.0);
}

TEST_F(Heic, GrayStaysOneChannel) {
  const cv::Mat colour = make_pattern(160, 120, CV_8UC1);
  const ByteVector file = write_heic(colour, {}, {});
  const auto header = read_header(file, kLimits);
  ASSERT_TRUE(header.ok()) << header.error().message;
  const Picture back = decoded(file);
  EXPECT_EQ(back.colour.channels(), header->channels);
  cv::Mat first;
  cv::extractChannel(back.colour, first, 0);
  EXPECT_GT(psnr(first, colour), 38.0);
}

TEST_F(Heic, PremultipliedColoursBecomeStraight) {
  HeicKind kind;
  kind.is_premultiplied = true;
  const Picture back =
      decoded(write_heic(cv::Mat(64, 64, CV_8UC3, cv::Scalar::all(64)), cv::Mat(64, 64, CV_8UC1, cv::Scalar(128)), kind));
  EXPECT_NEAR(back.colour.at<cv::Vec3b>(30, 30)[1], 128, 2);
}

TEST_F(Heic, TurnsAndMirrorsAreAppliedOnce) {
  const cv::Mat stored = make_pattern(96, 64, CV_8UC3);
  for (int orientation = 1; orientation <= 8; ++orientation) {
    HeicKind kind;
    kind.orientation = orientation;
    kind.exif = testing::make_exif(6);
    const ByteVector file = write_heic(stored, {}, kind);
    const cv::Mat wanted = upright(stored, orientation);
    const auto header = read_header(file, kLimits);
    ASSERT_TRUE(header.ok()) << header.error().message;
    EXPECT_EQ(header->width, static_cast<std::uint32_t>(wanted.cols));
    EXPECT_EQ(header->height, static_cast<std::uint32_t>(wanted.rows));
    EXPECT_GT(psnr(decoded(file).colour, wanted), 36.0) << orientation;
  }
}

TEST_F(Heic, TilesArePutTogetherAndTurned) {
  const cv::Mat stored = make_pattern(150, 100, CV_8UC3);
  for (int quarters = 0; quarters < 4; ++quarters) {
    const ByteVector file = testing::write_heic_grid(stored, {64, 64}, quarters);
    cv::Mat wanted = stored.clone();
    for (int i = 0; i < quarters; ++i) cv::rotate(wanted.clone(), wanted, cv::ROTATE_90_COUNTERCLOCKWISE);
    const auto header = read_header(file, kLimits);
    ASSERT_TRUE(header.ok()) << header.error().message;
    EXPECT_EQ(header->width, static_cast<std::uint32_t>(wanted.cols));
    EXPECT_EQ(header->frames, 1);
    EXPECT_GT(psnr(decoded(file).colour, wanted), 36.0) << quarters;
  }
}

TEST_F(Heic, TilesOfALargerPictureThanStatedAreRefused) {
  const auto refused = decode(testing::write_heic_grid(make_pattern(128, 64, CV_8UC3), {64, 64}, 0, {60'000, 60'000}), kLimits);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kPictureTooLarge);
}

TEST_F(Heic, MetadataIsRead) {
  HeicKind kind;
  kind.exif = testing::make_exif(1);
  kind.xmp = testing::make_xmp();
  kind.icc = testing::make_icc("RGB ");
  const ByteVector file = write_heic(make_pattern(96, 64, CV_8UC3), {}, kind);
  const Picture back = decoded(file);
  ASSERT_NE(back.metadata, nullptr);
  EXPECT_EQ(back.metadata->exif, kind.exif);
  EXPECT_EQ(back.metadata->xmp, kind.xmp);
  EXPECT_EQ(back.metadata->icc, kind.icc);
  DecodeLimits limits;
  limits.metadata = Bytes{100};
  const auto without = decode(file, limits);
  ASSERT_TRUE(without.ok());
  EXPECT_EQ(without->metadata, nullptr);
  EXPECT_THAT(without->metadata_warning, HasSubstr("limits.metadata"));
}

TEST_F(Heic, StatedColoursBecomeAProfile) {
  HeicKind kind;
  kind.primaries = heif_color_primaries_SMPTE_EG_432_1;
  const Picture back = decoded(write_heic(make_pattern(96, 64, CV_8UC3), {}, kind));
  ASSERT_NE(back.metadata, nullptr);
  EXPECT_GT(back.metadata->icc.size(), 128U);
  EXPECT_EQ(decoded(write_heic(make_pattern(96, 64, CV_8UC3), {}, {})).metadata, nullptr);
}

TEST_F(Heic, OfSeveralPicturesTheMainOneIsTaken) {
  HeicKind kind;
  kind.pictures = 3;
  const ByteVector file = write_heic(make_pattern(96, 64, CV_8UC3), {}, kind);
  EXPECT_EQ(read_header(file, kLimits)->frames, 3);
  EXPECT_THAT(decoded(file).metadata_warning, HasSubstr("3 pictures"));
}

TEST_F(Heic, Mif1IsReadToo) {
  const cv::Mat colour = make_pattern(96, 64, CV_8UC3);
  ByteVector file = write_heic(colour, {}, {});
  const std::string_view brand = "mif1";
  std::copy(brand.begin(), brand.end(), file.begin() + 8);
  EXPECT_GT(psnr(decoded(file).colour, colour), 38.0);
}

TEST_F(Heic, AvifThatCallsItselfMif1IsReadAsAvif) {
  ByteVector file = *encode(make_picture(50, 40, CV_8UC3), FileFormat::kAvif, {});
  const std::string_view brand = "mif1";
  std::copy(brand.begin(), brand.end(), file.begin() + 8);
  const auto back = decode(file, kLimits);
  ASSERT_TRUE(back.ok()) << back.error().message;
  EXPECT_EQ(back->format, FileFormat::kAvif);
}

TEST_F(Heic, LargerThanAllowedIsRefused) {
  const ByteVector file = write_heic(make_pattern(160, 120, CV_8UC3), {}, {});
  DecodeLimits limits;
  limits.megapixels = 0.001;
  EXPECT_EQ(decode(file, limits).error().code, ErrorCode::kPictureTooLarge);
  // A header that says little, before data that hold more.
  HeapPlanes memory;
  const auto refused = decode_heic(file, limits, memory);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kPictureTooLarge);
}

}  // namespace
}  // namespace retouchd::image
