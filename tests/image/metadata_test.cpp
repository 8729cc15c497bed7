#include "image/metadata.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

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
  EXPECT_EQ(Exiv2::ExifThumbC(tags.exif).copy().size_ > 0, GetParam() != FileFormat::kTiff);
  EXPECT_EQ(tags.xmp_text("Xmp.dc.title"), "lang=\"x-default\" Harbour");
  EXPECT_EQ(tags.xmp_text("Xmp.xmp.CreatorTool"), "a test");
  EXPECT_EQ(tags.xmp_text("Xmp.tiff.Orientation"), "1");
  EXPECT_EQ(tags.xmp_text("Xmp.exif.PixelXDimension"), "40");
  EXPECT_EQ(warning, "");
  if (GetParam() == FileFormat::kWebp) {
    EXPECT_EQ(tags.xmp_text("Xmp.dc.description"), "lang=\"x-default\" Boats at dawn") << "IPTC's caption";
  } else {
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

TEST_P(EveryFormat, SaysWhatWasDoneToThePicture) {
  EncodeOptions strip;
  strip.metadata = EncodeOptions::Metadata::kStrip;
  Metadata earlier;
  for (const EncodeOptions& options : {EncodeOptions{}, strip}) {
    for (const Metadata& metadata : {Metadata{}, full_metadata(), earlier}) {
      Picture picture = with_metadata(metadata);
      picture.provenance = {{"Network", "student <tiny> & sons"}, {"Route", "local"}};
      std::string warning;
      const auto file = encode(picture, GetParam(), options, &warning);
      ASSERT_TRUE(file.ok());
      EXPECT_EQ(warning, "");
      const auto again = decode(*file, kLimits);
      ASSERT_TRUE(again.ok());
      EXPECT_THAT(again->metadata->xmp, HasSubstr("student &lt;tiny&gt; &amp; sons"));
      EXPECT_THAT(again->metadata->xmp, HasSubstr("urn:retouchd:provenance:1#"));
      EXPECT_THAT(again->metadata->xmp, ::testing::Not(HasSubstr("Plan")));
      earlier.xmp = make_xmp();
      earlier.xmp.insert(earlier.xmp.find(" xmp:CreatorTool"),
                         R"( xmlns:retouchd="urn:retouchd:provenance:1#" retouchd:Plan="one tile" retouchd:Network="old")");
    }
  }
}

TEST_P(EveryFormat, KeepsTheResolutionWithoutExif) {
  Metadata metadata;
  metadata.dpi_x = 300;
  metadata.dpi_y = 150;
  const auto file = encode(with_metadata(metadata), GetParam(), {});
  ASSERT_TRUE(file.ok());
  const auto picture = decode(*file, kLimits);
  ASSERT_TRUE(picture.ok());
  ASSERT_TRUE(picture->metadata);
  if (GetParam() == FileFormat::kWebp) {
    EXPECT_EQ(read_by_exiv2(*file).text("Exif.Image.YResolution"), "150/1");
  } else {
    EXPECT_NEAR(*picture->metadata->dpi_x, 300.0, 0.05);
    EXPECT_NEAR(*picture->metadata->dpi_y, 150.0, 0.05);
  }
}

TEST_P(EveryFormat, KeepsACommentWhereThereIsAPlace) {
  Metadata metadata;
  metadata.comment = "Grüße vom See";
  metadata.texts = {{"Title", "Boote"}, {"Comment", "zweiter"}, {"Author", "Ansel"}};
  std::string warning;
  const auto file = encode(with_metadata(metadata), GetParam(), {}, &warning);
  ASSERT_TRUE(file.ok());
  const auto picture = decode(*file, kLimits);
  ASSERT_TRUE(picture.ok());
  EXPECT_EQ(picture->metadata_warning, "");
  const Metadata none;
  const Metadata& kept = picture->metadata ? *picture->metadata : none;
  switch (GetParam()) {
    case FileFormat::kPng:
      EXPECT_EQ(warning, "");
      EXPECT_EQ(kept.comment, metadata.comment);
      EXPECT_EQ(kept.texts, metadata.texts);
      break;
    case FileFormat::kJpeg:
      EXPECT_THAT(warning, HasSubstr("Title, Author"));
      EXPECT_EQ(kept.comment, metadata.comment);
      ASSERT_EQ(kept.texts.size(), 1U);
      EXPECT_EQ(kept.texts[0].second, "zweiter");
      break;
    default:
      EXPECT_THAT(warning, HasSubstr("Comment, Title, Comment, Author"));
      EXPECT_EQ(kept.comment, "");
  }
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

/// The thumbnail in the EXIF of `file`, decoded; empty when there is none.
cv::Mat thumbnail_in(const ByteVector& file) {
  const Tags tags = read_by_exiv2(file);
  const Exiv2::DataBuf jpeg = Exiv2::ExifThumbC(tags.exif).copy();
  if (jpeg.size_ == 0) return {};
  return decode(ByteSpan(jpeg.pData_, static_cast<std::size_t>(jpeg.size_)), kLimits)->colour;
}

TEST(Metadata, AThumbnailShowsTheNewPixels) {
  Metadata metadata;
  metadata.exif = make_exif(6);
  for (const int type : {CV_8UC1, CV_8UC3, CV_16UC3}) {
    Picture picture = make_picture(300, 600, type);
    picture.colour.setTo(cv::Scalar::all(type == CV_16UC3 ? 200 * 257 : 200));
    picture.metadata = std::make_shared<const Metadata>(metadata);
    const auto file = encode(picture, FileFormat::kPng, {});
    ASSERT_TRUE(file.ok());
    const cv::Mat thumbnail = thumbnail_in(*file);
    ASSERT_EQ(thumbnail.size(), cv::Size(80, 160));
    EXPECT_EQ(thumbnail.channels(), picture.colour.channels());
    EXPECT_NEAR(cv::mean(thumbnail)[0], 200.0, 1.0);
    Tags tags = read_by_exiv2(*file);
    EXPECT_EQ(tags.text("Exif.Thumbnail.Compression"), "6");
    EXPECT_EQ(tags.text("Exif.Thumbnail.Orientation"), "absent");
  }
}

TEST(Metadata, AThumbnailIsNeverEnlargedAndNeverMadeUp) {
  Picture picture = make_picture(60, 30, CV_8UC3);
  Metadata metadata;
  metadata.exif = make_exif(1);
  picture.metadata = std::make_shared<const Metadata>(metadata);
  EXPECT_EQ(thumbnail_in(*encode(picture, FileFormat::kJpeg, {})).size(), cv::Size(60, 30));

  Exiv2::ExifData tags;
  tags["Exif.Image.Make"] = "Lomo";
  metadata.exif.clear();
  Exiv2::ExifParser::encode(metadata.exif, Exiv2::littleEndian, tags);
  picture.metadata = std::make_shared<const Metadata>(metadata);
  EXPECT_TRUE(thumbnail_in(*encode(picture, FileFormat::kJpeg, {})).empty());
}

TEST(Metadata, SizeTagsAreSetOnlyWhereTheyWere) {
  Exiv2::ExifData tags;
  tags["Exif.Image.ImageWidth"] = std::uint32_t{1};
  tags["Exif.Image.ImageLength"] = std::uint32_t{1};
  Metadata metadata;
  Exiv2::ExifParser::encode(metadata.exif, Exiv2::littleEndian, tags);
  Tags written = read_by_exiv2(*encode(with_metadata(metadata), FileFormat::kJpeg, {}));
  EXPECT_EQ(written.text("Exif.Image.ImageWidth"), "40");
  EXPECT_EQ(written.text("Exif.Image.ImageLength"), "30");
  EXPECT_EQ(written.text("Exif.Photo.PixelXDimension"), "absent");
  EXPECT_EQ(written.text("Exif.Image.Orientation"), "absent");
}

TEST(Metadata, EverythingOfARawFileButItsRawPartIsKept) {
  Picture picture = with_metadata(full_metadata());
  ByteVector file = *encode(picture, FileFormat::kTiff, {});
  const Exiv2::Image::AutoPtr raw = Exiv2::ImageFactory::open(file.data(), static_cast<long>(file.size()));
  raw->readMetadata();
  raw->exifData()["Exif.Image.DNGVersion"] = "1 4 0 0";
  raw->exifData()["Exif.Image.ColorMatrix1"] = Exiv2::Rational(1, 2);
  raw->exifData()["Exif.Image.CFAPattern"] = "0 1 1 2";
  raw->exifData()["Exif.Photo.LensModel"] = "35 mm";
  raw->writeMetadata();
  ByteVector written(raw->io().size());
  ASSERT_EQ(raw->io().open(), 0);
  ASSERT_EQ(raw->io().read(written.data(), static_cast<long>(written.size())), static_cast<long>(written.size()));

  Metadata metadata;
  std::string warnings;
  read_raw_metadata(written, kLimits.metadata, metadata, warnings);
  EXPECT_EQ(warnings, "");
  EXPECT_EQ(metadata.iptc, make_iptc());
  EXPECT_THAT(metadata.xmp, HasSubstr("Harbour"));
  metadata.icc.clear();
  Tags tags = read_by_exiv2(*encode(with_metadata(metadata), FileFormat::kJpeg, {}));
  EXPECT_EQ(tags.text("Exif.Image.Make"), "Lomo");
  EXPECT_EQ(tags.text("Exif.Photo.LensModel"), "35 mm");
  EXPECT_EQ(tags.text("Exif.GPSInfo.GPSLatitudeRef"), "N");
  for (const char* gone : {"Exif.Image.DNGVersion", "Exif.Image.ColorMatrix1", "Exif.Image.CFAPattern", "Exif.Image.StripOffsets",
                           "Exif.Image.BitsPerSample", "Exif.Image.Compression"}) {
    EXPECT_EQ(tags.text(gone), "absent") << gone;
  }
  read_raw_metadata(ByteSpan(written).subspan(3), kLimits.metadata, metadata, warnings);
  EXPECT_THAT(warnings, HasSubstr("raw"));
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

TEST(Metadata, AnImpossibleResolutionIsNotPassedOn) {
  for (const double dpi : {2.7e8, -3.0, 0.0, std::nan("")}) {
    Metadata metadata;
    metadata.dpi_x = dpi;
    metadata.dpi_y = 300;
    Picture picture;
    picture.colour = cv::Mat(8, 8, CV_8UC3, cv::Scalar::all(100));
    picture.metadata = std::make_shared<const Metadata>(metadata);
    for (const FileFormat format : {FileFormat::kJpeg, FileFormat::kPng, FileFormat::kTiff}) {
      const auto read = decode(*encode(picture, format, {}), {});
      ASSERT_TRUE(read.ok());
      EXPECT_TRUE(!read->metadata || !read->metadata->dpi_x) << name_of(format) << " " << dpi;
    }
  }
}

}  // namespace
}  // namespace retouchd::image
