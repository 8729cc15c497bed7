#include "cloud/outgoing.h"

#include <gmock/gmock.h>

#include "image/alpha_channel.h"
#include "image/orientation.h"
#include "pictures.h"
#include "tests/temporary_folder.h"

namespace retouchd::cloud {
namespace {

using image::FileFormat;
using image::testing::JpegKind;
using image::testing::largest_difference;
using image::testing::make_pattern;
using testing::HasSubstr;

void expect_no_secrets(const std::string& bytes) {
  for (const auto& secret : kSecrets) EXPECT_THAT(bytes.find(secret), std::string::npos) << secret;
}

/// SOI and what follows the first segment of libjpeg's files.
ByteVector without_jfif(ByteVector jpeg) {
  jpeg.erase(jpeg.begin() + 2, jpeg.begin() + 20);
  return jpeg;
}

class OutgoingTest : public ::testing::Test {
 protected:
  Result<Parcel> send(const ByteVector& file, const Packing& packing = {}) {
    write_bytes(source_, file);
    return pack(codec_, source_, *identify_file(source_), to_, packing);
  }
  Parcel sent(const ByteVector& file, const Packing& packing = {}) {
    auto parcel = send(file, packing);
    EXPECT_TRUE(parcel) << parcel.error().message;
    return parcel ? std::move(*parcel) : Parcel();
  }

  TemporaryFolder folder_;
  image::LocalCodec codec_;
  std::filesystem::path source_ = folder_.path() / "Grandma's 80th" / "IMG_0042.JPG";
  std::filesystem::path to_ = folder_.path() / "1.1.send";
};

TEST_F(OutgoingTest, AJpegIsStrippedWithoutLosingAPixel) {
  for (const auto kind : {JpegKind::kBaseline, JpegKind::kProgressive, JpegKind::kArithmetic}) {
    for (const int type : {CV_8UC1, CV_8UC3}) {
      const ByteVector plain = image::testing::write_jpeg(make_pattern(150, 97, type), kind);
      const auto parcel = sent(with_secrets(plain, 6));
      const std::string bytes = read_bytes(parcel.file);
      expect_no_secrets(bytes);
      EXPECT_LE(bytes.size(), plain.size());
      EXPECT_EQ(largest_difference(decoded(bytes).colour, decoded(text_of(plain)).colour), 0);
      EXPECT_EQ(parcel.turn, 6);
      EXPECT_EQ(decoded(bytes).metadata, nullptr);
    }
  }
}

TEST_F(OutgoingTest, AParcelTellsItsSizeAndHash) {
  const auto parcel = sent(secret_jpeg(64, 48, 1));
  const std::string bytes = read_bytes(parcel.file);
  EXPECT_EQ(parcel.size.value, bytes.size());
  EXPECT_EQ(parcel.sha256, *sha256_hex_of_file(parcel.file));
  EXPECT_EQ(parcel.turn, 1);
  EXPECT_DOUBLE_EQ(parcel.megapixels, 64 * 48 / 1e6);
}

TEST_F(OutgoingTest, TheSameSourceMakesTheSameParcel) {
  const ByteVector file = secret_jpeg(64, 48, 3);
  EXPECT_EQ(sent(file).sha256, sent(file).sha256);
}

TEST_F(OutgoingTest, ColoursThatAdobesMarkerTellsAreKept) {
  // R, G and B are stored as they are; only APP14 says so.
  const auto pixels = make_pattern(80, 60, CV_8UC3);
  const ByteVector ycc = image::testing::write_jpeg(pixels, JpegKind::kBaseline);
  ByteVector payload = bytes_of_text("Adobe");
  for (const int byte : {0, 100, 0x12, 0x34, 0x56, 0x78, 0}) payload.push_back(static_cast<std::uint8_t>(byte));
  const std::string tail = "SECRET-MAKER";
  payload.insert(payload.end(), tail.begin(), tail.end());
  // Without the JFIF marker, which would overrule it.
  ByteVector file = without_jfif(ycc);
  file = with_segment(file, 0xEE, payload);
  const auto bytes = read_bytes(sent(file).file);
  expect_no_secrets(bytes);
  EXPECT_EQ(largest_difference(decoded(bytes).colour, decoded(text_of(file)).colour), 0);
  EXPECT_GT(largest_difference(decoded(bytes).colour, decoded(text_of(ycc)).colour), 20);
}

TEST_F(OutgoingTest, AThumbnailAndTheDensityInJfifStayHere) {
  const ByteVector plain = image::testing::write_jpeg(make_pattern(40, 30, CV_8UC3), JpegKind::kBaseline);
  ByteVector jfif = bytes_of_text("JFIF");
  for (const int byte : {0, 1, 2, 1, 0x01, 0x2C, 0x01, 0x2C, 2, 3}) jfif.push_back(static_cast<std::uint8_t>(byte));
  const std::string pixels = "SECRET-THUMBNAIL..";  // 2 x 3 x 3
  jfif.insert(jfif.end(), pixels.begin(), pixels.end());
  ByteVector file = without_jfif(plain);
  file = with_segment(file, 0xE0, jfif);
  const auto bytes = read_bytes(sent(file).file);
  expect_no_secrets(bytes);
  EXPECT_THAT(bytes, HasSubstr("JFIF"));
  EXPECT_EQ(decoded(bytes).metadata, nullptr) << "no density";
  EXPECT_EQ(largest_difference(decoded(bytes).colour, decoded(text_of(file)).colour), 0);
}

TEST_F(OutgoingTest, RestartMarkersAndStrayBytesAreNoTrouble) {
  ByteVector file = image::testing::write_jpeg(make_pattern(64, 64, CV_8UC3), JpegKind::kBaseline);
  const ByteVector fill{0xFF, 0xFF, 0xFF};
  file.insert(file.begin() + 2, fill.begin(), fill.end());
  const auto stripped = strip_jpeg(file);
  ASSERT_TRUE(stripped);
  EXPECT_EQ(largest_difference(decoded(text_of(*stripped)).colour, decoded(text_of(file)).colour), 0);
}

TEST_F(OutgoingTest, ACutJpegIsRefused) {
  const ByteVector file = secret_jpeg(64, 48, 1);
  for (std::size_t size = 0; size + 20 < file.size(); size += 7) {
    const auto stripped = strip_jpeg(std::span(file).first(size));
    EXPECT_FALSE(stripped) << size;
  }
  const auto packed = send(ByteVector(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(file.size() / 2)));
  ASSERT_FALSE(packed);
  EXPECT_EQ(packed.error().code, ErrorCode::kTruncatedPicture);
}

TEST_F(OutgoingTest, OtherFormatsGoAsPlainPng) {
  for (const int type : {CV_8UC1, CV_8UC3, CV_16UC1, CV_16UC3}) {
    for (const bool has_alpha : {false, true}) {
      auto picture = image::testing::make_picture(90, 61, type, has_alpha);
      auto metadata = std::make_shared<image::Metadata>();
      metadata->exif = image::testing::make_exif(1);
      metadata->xmp = image::testing::make_xmp();
      metadata->icc = image::testing::make_icc(picture.is_gray() ? "GRAY" : "RGB ");
      picture.metadata = metadata;
      for (const auto format : {FileFormat::kPng, FileFormat::kTiff}) {
        const auto parcel = sent(bytes_of_text(encoded(picture, format)));
        const std::string bytes = read_bytes(parcel.file);
        expect_no_secrets(bytes);
        const auto back = decoded(bytes);
        EXPECT_EQ(back.format, FileFormat::kPng);
        const cv::Mat shown = image::fill_hidden_colours(picture.colour, picture.alpha);
        EXPECT_EQ(largest_difference(back.colour, shown), 0) << "what alpha hides stays here";
        EXPECT_TRUE(back.alpha.empty()) << "transparency is nothing to restore";
        EXPECT_EQ(back.metadata, nullptr);
        EXPECT_EQ(parcel.turn, 1);
      }
    }
  }
}

TEST_F(OutgoingTest, AnotherFormatIsSentUpright) {
  const auto pixels = make_pattern(50, 30, CV_8UC3);
  const auto file = image::testing::write_tiff(pixels, {.orientation = 6});
  const auto parcel = sent(file);
  EXPECT_EQ(parcel.turn, 1);
  EXPECT_EQ(largest_difference(decoded(read_bytes(parcel.file)).colour, image::upright(pixels, 6)), 0);
}

TEST_F(OutgoingTest, NotStrippedIsTheFileAsItIs) {
  const ByteVector file = secret_jpeg(64, 48, 6);
  Packing packing;
  packing.strip_metadata = false;
  const auto parcel = sent(file, packing);
  EXPECT_EQ(read_bytes(parcel.file), text_of(file));
  EXPECT_EQ(parcel.turn, 1) << "the node sees the orientation itself";
}

TEST_F(OutgoingTest, TheNameAsksForTheFormatAndTellsNothing) {
  const ByteVector jpeg = secret_jpeg(64, 48, 1);
  const ByteVector png = bytes_of_text(encoded(image::testing::make_picture(20, 20, CV_16UC3), FileFormat::kPng));
  Packing small;
  small.answer = config::Cloud::Answer::kSmall;
  EXPECT_EQ(sent(jpeg).name, "picture.png");
  EXPECT_EQ(sent(jpeg, small).name, "picture.jpg");
  EXPECT_EQ(sent(png).name, "picture.png");
  EXPECT_EQ(sent(png, small).name, "picture.png");
}

TEST_F(OutgoingTest, AChangedOrMissingSourceIsNotSent) {
  write_bytes(source_, secret_jpeg(64, 48, 1));
  auto accepted = *identify_file(source_);
  accepted.mtime_ns -= 1;
  const auto changed = pack(codec_, source_, accepted, to_, {});
  ASSERT_FALSE(changed);
  EXPECT_EQ(changed.error().code, ErrorCode::kInputChanged);
  std::filesystem::remove(source_);
  const auto gone = pack(codec_, source_, accepted, to_, {});
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, ErrorCode::kInputMissing);
  EXPECT_FALSE(std::filesystem::exists(to_));
}

TEST_F(OutgoingTest, LimitsHold) {
  Packing packing;
  packing.limits.megapixels = 0.001;
  const auto large = send(secret_jpeg(64, 48, 1), packing);
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().code, ErrorCode::kPictureTooLarge);
  Packing heavy;
  heavy.file_size = Bytes{100};
  EXPECT_EQ(send(secret_jpeg(64, 48, 1), heavy).error().code, ErrorCode::kPictureTooLarge);
}

TEST_F(OutgoingTest, WhatIsNoPictureIsNotSent) {
  const auto packed = send(bytes_of_text("%PDF-1.4 my tax return"));
  ASSERT_FALSE(packed);
  EXPECT_EQ(packed.error().code, ErrorCode::kUnsupportedFormat);
}

}  // namespace
}  // namespace retouchd::cloud
