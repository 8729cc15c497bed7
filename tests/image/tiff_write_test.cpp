#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <tiffio.h>
#include <unistd.h>

#include <cstdio>
#include <exiv2/exiv2.hpp>

#include "image/codec.h"
#include "image/metadata.h"
#include "image/tiff_stream.h"
#include "tests/image/sample_pictures.h"

namespace retouchd::image {
namespace {

using Compression = EncodeOptions::TiffCompression;
using testing::largest_difference;
using testing::make_picture;

ByteVector written(const Picture& picture, Compression compression = Compression::kDeflate) {
  EncodeOptions options;
  options.tiff_compression = compression;
  std::string warning;
  auto file = encode(picture, FileFormat::kTiff, options, &warning);
  EXPECT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ(warning, "");
  return file.ok() ? *file : ByteVector{};
}

void take_exif(Picture& picture, const Exiv2::ExifData& tags, Exiv2::ByteOrder order) {
  Exiv2::Blob blob;
  Exiv2::ExifParser::encode(blob, order, tags);
  Metadata metadata;
  metadata.exif = blob;
  metadata.iptc = testing::make_iptc();
  picture.metadata = std::make_shared<const Metadata>(metadata);
}

Exiv2::ExifData tags_of(const ByteVector& file) {
  const auto image = Exiv2::ImageFactory::open(file.data(), static_cast<long>(file.size()));
  image->readMetadata();
  return image->exifData();
}

std::string text_of(const Exiv2::ExifData& tags, const std::string& key) {
  const auto found = tags.findKey(Exiv2::ExifKey(key));
  return found == tags.end() ? "(missing)" : found->toString();
}

TEST(TiffWrite, EveryKindOfEveryCompressionComesBack) {
  for (const Compression compression : {Compression::kNone, Compression::kLzw, Compression::kDeflate}) {
    for (const int type : {CV_8UC1, CV_8UC3, CV_16UC1, CV_16UC3, CV_32FC1, CV_32FC3}) {
      for (const bool has_alpha : {false, true}) {
        for (const bool has_exif : {false, true}) {
          const int depth = CV_MAT_DEPTH(type);
          Picture picture = make_picture(301, 203, depth == CV_32F ? CV_16UC(CV_MAT_CN(type)) : type, has_alpha);
          if (depth == CV_32F) {
            picture.colour.convertTo(picture.colour, CV_32F, 1.0 / 65'535.0);
            if (has_alpha) picture.alpha.convertTo(picture.alpha, CV_32F, 1.0 / 65'535.0);
          }
          if (has_exif) {
            Metadata metadata;
            metadata.exif = testing::make_exif(1);
            picture.metadata = std::make_shared<const Metadata>(metadata);
          }
          const ByteVector file = written(picture, compression);
          const auto again = decode(file, {});
          ASSERT_TRUE(again.ok()) << again.error().message;
          EXPECT_EQ(largest_difference(again->colour, picture.colour), 0.0) << "type " << type;
          if (has_alpha) {
            EXPECT_EQ(largest_difference(again->alpha, picture.alpha), 0.0) << "type " << type;
          }
          EXPECT_EQ(again->alpha.empty(), !has_alpha);
          EXPECT_EQ(again->metadata_warning, "");
        }
      }
    }
  }
}

TEST(TiffWrite, TheFileSaysHowItIsCompressed) {
  const Picture picture = make_picture(64, 48, CV_8UC3);
  const std::vector<std::pair<Compression, int>> expected{{Compression::kNone, COMPRESSION_NONE},
                                                          {Compression::kLzw, COMPRESSION_LZW},
                                                          {Compression::kDeflate, COMPRESSION_ADOBE_DEFLATE}};
  for (const auto& [compression, tag] : expected) {
    const ByteVector file = written(picture, compression);
    const TiffStream stream(file, mebibytes(1));
    ASSERT_NE(stream.get(), nullptr);
    EXPECT_EQ(tiff_field<std::uint16_t>(stream.get(), TIFFTAG_COMPRESSION, 0), tag);
  }
}

TEST(TiffWrite, ExifGpsAndUnknownMakerNotesSurvive) {
  Picture picture = make_picture(120, 80, CV_8UC3);
  for (const Exiv2::ByteOrder order : {Exiv2::littleEndian, Exiv2::bigEndian}) {
    ByteVector note(3000);
    for (std::size_t i = 0; i < note.size(); ++i) note[i] = static_cast<std::uint8_t>(i * 7);
    const Exiv2::DataValue note_value(note.data(), static_cast<long>(note.size()));
    Exiv2::ExifData tags;
    tags["Exif.Image.Make"] = "Lomo";
    tags["Exif.Image.XPTitle"] = "72 0 105 0 0 0";
    tags["Exif.Photo.LensModel"] = "A lens";
    tags["Exif.Photo.ExposureTime"] = Exiv2::URational(1, 250);
    tags.add(Exiv2::ExifKey("Exif.Photo.MakerNote"), &note_value);
    tags["Exif.GPSInfo.GPSLatitudeRef"] = "N";
    tags["Exif.GPSInfo.GPSLatitude"] = "59/1 54/1 30/1";
    take_exif(picture, tags, order);

    const Exiv2::ExifData again = tags_of(written(picture));
    EXPECT_EQ(text_of(again, "Exif.Image.Make"), "Lomo");
    EXPECT_EQ(text_of(again, "Exif.Image.XPTitle"), "72 0 105 0 0 0");
    EXPECT_EQ(text_of(again, "Exif.Photo.LensModel"), "A lens");
    EXPECT_EQ(text_of(again, "Exif.Photo.ExposureTime"), "1/250");
    EXPECT_EQ(text_of(again, "Exif.GPSInfo.GPSLatitude"), "59/1 54/1 30/1");
    EXPECT_EQ(text_of(again, "Exif.Photo.MakerNote"), static_cast<const Exiv2::Value&>(note_value).toString());
  }
}

TEST(TiffWrite, MakerNotesOfCanonSurvive) {
  Picture picture = make_picture(120, 80, CV_16UC3);
  Exiv2::ExifData tags;
  tags["Exif.Image.Make"] = "Canon";
  tags["Exif.Image.Model"] = "Canon EOS 5D";
  tags["Exif.Canon.OwnerName"] = "A. Photographer";
  tags["Exif.Canon.FirmwareVersion"] = "Firmware 1.1.1 and more than four bytes";
  tags["Exif.CanonCs.LensType"] = std::uint16_t{137};
  take_exif(picture, tags, Exiv2::littleEndian);

  const Exiv2::ExifData again = tags_of(written(picture));
  EXPECT_EQ(text_of(again, "Exif.Canon.OwnerName"), "A. Photographer");
  EXPECT_EQ(text_of(again, "Exif.Canon.FirmwareVersion"), "Firmware 1.1.1 and more than four bytes");
  EXPECT_EQ(text_of(again, "Exif.CanonCs.LensType"), "137");
}

TEST(TiffWrite, ADescriptorGetsTheSameBytesAsMemory) {
  Picture picture = make_picture(301, 203, CV_8UC3, true);
  Metadata metadata;
  metadata.exif = testing::make_exif(1);
  metadata.icc = testing::make_icc("RGB ");
  picture.metadata = std::make_shared<const Metadata>(metadata);
  const ByteVector expected = written(picture);
  std::FILE* file = std::tmpfile();
  ASSERT_NE(file, nullptr);
  DescriptorFile output(::fileno(file));
  const auto encoded = encode(picture, FileFormat::kTiff, {}, output);
  EXPECT_TRUE(encoded.ok());
  ByteVector bytes(output.size());
  EXPECT_EQ(output.read_at(0, bytes), bytes.size());
  EXPECT_EQ(bytes, expected);
  std::fclose(file);
}

/// Refuses what lies behind the first `room` bytes.
class SmallDisk final : public OutputFile {
 public:
  explicit SmallDisk(std::uint64_t room) : room_(room) {}
  bool write_at(std::uint64_t offset, std::span<const std::uint8_t> bytes) noexcept override {
    if (failed()) return false;
    if (offset + bytes.size() > room_) errno_ = ENOSPC;
    return !failed() && file_.write_at(offset, bytes);
  }
  std::size_t read_at(std::uint64_t offset, std::span<std::uint8_t> to) noexcept override { return file_.read_at(offset, to); }
  [[nodiscard]] std::uint64_t size() const noexcept override { return file_.size(); }

 private:
  std::uint64_t room_;
  MemoryFile file_;
};

TEST(TiffWrite, AFullDiskIsReportedWhereverItFillsUp) {
  Picture picture = make_picture(60, 40, CV_8UC3);
  Metadata metadata;
  metadata.exif = testing::make_exif(1);
  picture.metadata = std::make_shared<const Metadata>(metadata);
  const std::uint64_t size = written(picture, Compression::kNone).size();
  EncodeOptions options;
  options.tiff_compression = Compression::kNone;
  for (std::uint64_t room = 0; room < size; room += 97) {
    SmallDisk disk(room);
    const auto encoded = encode(picture, FileFormat::kTiff, options, disk);
    ASSERT_FALSE(encoded.ok()) << room;
    EXPECT_EQ(encoded.error().code, ErrorCode::kDiskFull) << encoded.error().message;
  }
}

}  // namespace
}  // namespace retouchd::image
