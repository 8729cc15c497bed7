#include "image/metadata.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <exiv2/exiv2.hpp>

#include "image/codec.h"
#include "tests/image/sample_files.h"
#include "tests/image/sample_pictures.h"

namespace retouchd::image {
namespace {

using ::testing::HasSubstr;
using testing::make_exif;
using testing::make_icc;
using testing::make_iptc;
using testing::make_picture;
using testing::make_xmp;

const DecodeLimits kLimits;

Picture with_metadata(Metadata metadata) {
  Picture picture = make_picture(40, 30, CV_8UC3);
  picture.metadata = std::make_shared<const Metadata>(std::move(metadata));
  return picture;
}

Metadata full_metadata() {
  Metadata metadata;
  metadata.exif = make_exif(1);
  metadata.xmp = make_xmp();
  metadata.iptc = make_iptc();
  metadata.icc = make_icc("RGB ");
  metadata.dpi_x = 300;
  metadata.dpi_y = 150;
  return metadata;
}

struct Tags {
  Exiv2::ExifData exif;
  Exiv2::XmpData xmp;
  Exiv2::IptcData iptc;

  std::string text(const std::string& key) {
    const auto found = exif.findKey(Exiv2::ExifKey(key));
    return found == exif.end() ? "absent" : found->toString();
  }
  std::string xmp_text(const std::string& key) {
    const auto found = xmp.findKey(Exiv2::XmpKey(key));
    return found == xmp.end() ? "absent" : found->toString();
  }
};

/// What Exiv2 finds in the whole file, by its own readers of all four formats.
Tags read_by_exiv2(const ByteVector& file) {
  const Exiv2::Image::AutoPtr image = Exiv2::ImageFactory::open(file.data(), static_cast<long>(file.size()));
  image->readMetadata();
  return {image->exifData(), image->xmpData(), image->iptcData()};
}

class EveryFormat : public ::testing::TestWithParam<FileFormat> {};

TEST_P(EveryFormat, CarriesMetadataThatExiv2CanRead) {
  std::string warning;
  const auto file = encode(with_metadata(full_metadata()), GetParam(), {}, &warning);
  ASSERT_TRUE(file.ok()) << file.error().message;
  Tags tags = read_by_exiv2(*file);
  EXPECT_EQ(tags.text("Exif.Image.Make"), "Lomo");
  EXPECT_EQ(tags.text("Exif.Image.Copyright"), "2024 A. Photographer");
  EXPECT_EQ(tags.text("Exif.Photo.DateTimeOriginal"), "2024:05:06 07:08:09");
  EXPECT_EQ(tags.text("Exif.GPSInfo.GPSLatitudeRef"), "N");
  EXPECT_EQ(tags.text("Exif.Image.Orientation"), "1");
  EXPECT_EQ(tags.text("Exif.Photo.PixelXDimension"), "40");
  EXPECT_EQ(tags.text("Exif.Photo.PixelYDimension"), "30");
  EXPECT_EQ(tags.text("Exif.Thumbnail.JPEGInterchangeFormat"), "absent");
  EXPECT_EQ(tags.xmp_text("Xmp.dc.title"), "lang=\"x-default\" Harbour");
  EXPECT_EQ(tags.xmp_text("Xmp.xmp.CreatorTool"), "a test");
  EXPECT_EQ(tags.xmp_text("Xmp.tiff.Orientation"), "1");
  EXPECT_EQ(tags.xmp_text("Xmp.exif.PixelXDimension"), "40");
  if (GetParam() == FileFormat::kWebp) {
    EXPECT_THAT(warning, HasSubstr("IPTC"));
  } else {
    EXPECT_EQ(warning, "");
    ASSERT_NE(tags.iptc.findKey(Exiv2::IptcKey("Iptc.Application2.Caption")), tags.iptc.end());
    EXPECT_EQ(tags.iptc["Iptc.Application2.Caption"].toString(), "Boats at dawn");
  }
}

TEST_P(EveryFormat, IsReadBackByUs) {
  const auto file = encode(with_metadata(full_metadata()), GetParam(), {});
  ASSERT_TRUE(file.ok());
  const auto picture = decode(*file, kLimits);
  ASSERT_TRUE(picture.ok()) << picture.error().message;
  EXPECT_EQ(picture->metadata_warning, "");
  ASSERT_TRUE(picture->metadata);
  EXPECT_EQ(picture->metadata->icc, make_icc("RGB "));
  EXPECT_THAT(picture->metadata->xmp, HasSubstr("Harbour"));
  EXPECT_FALSE(picture->metadata->exif.empty());
  if (GetParam() != FileFormat::kWebp) {
    EXPECT_EQ(picture->metadata->iptc, make_iptc());
    EXPECT_NEAR(*picture->metadata->dpi_x, 300.0, 0.05);
    EXPECT_NEAR(*picture->metadata->dpi_y, 150.0, 0.05);
  }
}

TEST_P(EveryFormat, GoesThroughEveryOtherFormat) {
  const auto first = encode(with_metadata(full_metadata()), GetParam(), {});
  ASSERT_TRUE(first.ok());
  const auto picture = decode(*first, kLimits);
  ASSERT_TRUE(picture.ok());
  for (const FileFormat format : {FileFormat::kJpeg, FileFormat::kPng, FileFormat::kTiff, FileFormat::kWebp}) {
    const auto second = encode(*picture, format, {});
    ASSERT_TRUE(second.ok()) << second.error().message;
    Tags tags = read_by_exiv2(*second);
    EXPECT_EQ(tags.text("Exif.Image.Copyright"), "2024 A. Photographer") << name_of(GetParam()) << " to " << name_of(format);
    EXPECT_EQ(tags.text("Exif.GPSInfo.GPSLatitudeRef"), "N");
    EXPECT_EQ(tags.xmp_text("Xmp.dc.title"), "lang=\"x-default\" Harbour");
    const auto again = decode(*second, kLimits);
    ASSERT_TRUE(again.ok());
    EXPECT_EQ(again->colour.size(), cv::Size(40, 30));
    EXPECT_EQ(again->metadata->icc, make_icc("RGB "));
  }
}

TEST_P(EveryFormat, TakesALargeProfile) {
  Metadata metadata;
  metadata.icc = make_icc("RGB ", 200'000);
  const auto picture = decode(*encode(with_metadata(metadata), GetParam(), {}), kLimits);
  ASSERT_TRUE(picture.ok());
  ASSERT_TRUE(picture->metadata);
  EXPECT_EQ(picture->metadata->icc, metadata.icc);
}

TEST_P(EveryFormat, StripsAllButTheProfile) {
  EncodeOptions options;
  options.metadata = EncodeOptions::Metadata::kStrip;
  const auto file = encode(with_metadata(full_metadata()), GetParam(), options);
  ASSERT_TRUE(file.ok());
  Tags tags = read_by_exiv2(*file);
  EXPECT_EQ(tags.text("Exif.Image.Copyright"), "absent");
  EXPECT_EQ(tags.text("Exif.GPSInfo.GPSLatitudeRef"), "absent");
  EXPECT_TRUE(tags.iptc.empty());
  EXPECT_TRUE(tags.xmp.empty());
  EXPECT_EQ(decode(*file, kLimits)->metadata->icc, make_icc("RGB "));
}

TEST_P(EveryFormat, LeavesOutAProfileOfAnotherColourSpace) {
  Metadata metadata;
  metadata.icc = make_icc("CMYK");
  std::string warning;
  const auto file = encode(with_metadata(metadata), GetParam(), {}, &warning);
  ASSERT_TRUE(file.ok());
  EXPECT_THAT(warning, HasSubstr("ICC"));
}

TEST_P(EveryFormat, IsWrittenEvenWithBrokenMetadata) {
  Metadata metadata;
  metadata.exif = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  metadata.xmp = "<not xml";
  metadata.iptc = {9, 9, 9};
  metadata.icc = {1, 2, 3};
  std::string warning;
  const auto file = encode(with_metadata(metadata), GetParam(), {}, &warning);
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_THAT(warning, HasSubstr("EXIF"));
  EXPECT_THAT(warning, HasSubstr("XMP"));
  EXPECT_THAT(warning, HasSubstr("ICC"));
  EXPECT_TRUE(decode(*file, kLimits).ok());
}

INSTANTIATE_TEST_SUITE_P(All, EveryFormat,
                         ::testing::Values(FileFormat::kJpeg, FileFormat::kPng, FileFormat::kTiff, FileFormat::kWebp),
                         [](const auto& tested) { return std::string(name_of(tested.param)); });

/// `segment` put behind the start of a JPEG of 40x30 pixels.
ByteVector jpeg_with(int app, const ByteVector& payload) {
  ByteVector file = testing::write_jpeg(testing::make_pattern(40, 30, CV_8UC3), testing::JpegKind::kBaseline);
  ByteVector segment{0xFF, static_cast<std::uint8_t>(0xE0 + app), static_cast<std::uint8_t>((payload.size() + 2) >> 8),
                     static_cast<std::uint8_t>((payload.size() + 2) & 0xFF)};
  segment.insert(segment.end(), payload.begin(), payload.end());
  file.insert(file.begin() + 2, segment.begin(), segment.end());
  return file;
}

ByteVector exif_payload(const ByteVector& block) {
  constexpr std::string_view kName("Exif\0\0", 6);
  ByteVector payload(kName.size() + block.size());
  std::copy(kName.begin(), kName.end(), payload.begin());
  std::copy(block.begin(), block.end(), payload.begin() + kName.size());
  return payload;
}

TEST(Metadata, OrientationTurnsThePixelsOnceAndForAll) {
  const cv::Mat stored = decode(jpeg_with(1, exif_payload(make_exif(1))), kLimits)->colour;
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const auto picture = decode(jpeg_with(1, exif_payload(make_exif(orientation))), kLimits);
    ASSERT_TRUE(picture.ok());
    EXPECT_EQ(picture->colour.size(), orientation >= 5 ? cv::Size(30, 40) : cv::Size(40, 30));
    // Where the stored top left pixel belongs.
    const bool is_right = orientation == 2 || orientation == 3 || orientation == 6 || orientation == 7;
    const bool is_bottom = orientation == 3 || orientation == 4 || orientation == 7 || orientation == 8;
    const cv::Vec3b corner =
        picture->colour.at<cv::Vec3b>(is_bottom ? picture->height() - 1 : 0, is_right ? picture->width() - 1 : 0);
    EXPECT_EQ(corner, stored.at<cv::Vec3b>(0, 0)) << orientation;
    for (const FileFormat format : {FileFormat::kPng, FileFormat::kTiff}) {
      const auto file = encode(*picture, format, {});
      ASSERT_TRUE(file.ok());
      Tags tags = read_by_exiv2(*file);
      EXPECT_EQ(tags.text("Exif.Image.Orientation"), "1");
      EXPECT_EQ(tags.text("Exif.Photo.PixelXDimension"), std::to_string(picture->width()));
      EXPECT_EQ(tags.text("Exif.Image.XResolution"), orientation >= 5 ? "150/1" : "300/1");
      const auto again = decode(*file, kLimits);
      ASSERT_TRUE(again.ok());
      EXPECT_EQ(testing::largest_difference(again->colour, picture->colour), 0.0);
    }
  }
}

TEST(Metadata, BrokenExifIsAWarningAndThePictureIsDecoded) {
  const auto picture = decode(jpeg_with(1, exif_payload({1, 2, 3, 4, 5, 6, 7, 8, 9, 10})), kLimits);
  ASSERT_TRUE(picture.ok());
  EXPECT_THAT(picture->metadata_warning, HasSubstr("EXIF"));
  EXPECT_EQ(picture->colour.size(), cv::Size(40, 30));
}

TEST(Metadata, BlocksBeyondTheLimitAreLeftOutWithAWarning) {
  DecodeLimits limits;
  limits.metadata = Bytes{100};
  const auto picture = decode(jpeg_with(1, exif_payload(make_exif(6))), limits);
  ASSERT_TRUE(picture.ok());
  EXPECT_THAT(picture->metadata_warning, HasSubstr("limits.metadata"));
}

TEST(Metadata, IptcSurvivesThePhotoshopResource) {
  const ByteVector iptc{0x1C, 2, 120, 0, 1, 'x', 'y'};
  EXPECT_EQ(iptc_from_photoshop(photoshop_from_iptc(iptc)), iptc);
  EXPECT_TRUE(iptc_from_photoshop({}).empty());
  ByteVector cut = photoshop_from_iptc(iptc);
  cut.resize(cut.size() - 3);
  EXPECT_TRUE(iptc_from_photoshop(cut).empty());
}

TEST(Metadata, ExifWithoutOrientationIsUpright) {
  Exiv2::ExifData tags;
  tags["Exif.Image.Make"] = "Lomo";
  Exiv2::Blob blob;
  Exiv2::ExifParser::encode(blob, Exiv2::littleEndian, tags);
  EXPECT_EQ(*read_orientation(blob), 1);
  EXPECT_EQ(*read_orientation(make_exif(8)), 8);
  EXPECT_EQ(*read_orientation(make_exif(77)), 1);
}

}  // namespace
}  // namespace retouchd::image
