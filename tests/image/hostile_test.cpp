// Files that lie, end early or were damaged: an error of the right kind, no crash, no memory for pixels that are not there.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <zlib.h>

#include <cstdlib>
#include <random>

#include "image/codec.h"
#include "image/metadata.h"
#include "tests/image/sample_files.h"
#include "tests/image/sample_pictures.h"

namespace retouchd::image {
namespace {

using testing::JpegKind;
using testing::make_pattern;
using testing::make_picture;
using testing::write_jpeg;

const DecodeLimits kLimits;

struct Sample {
  std::string name;
  ByteVector file;
};

std::vector<Sample> samples() {
  std::vector<Sample> all;
  for (const FileFormat format : {FileFormat::kJpeg, FileFormat::kPng, FileFormat::kTiff, FileFormat::kWebp}) {
    Picture picture = make_picture(48, 36, CV_8UC3, format == FileFormat::kPng || format == FileFormat::kWebp);
    Metadata metadata;
    metadata.exif = testing::make_exif(6);
    metadata.xmp = testing::make_xmp();
    metadata.iptc = testing::make_iptc();
    metadata.icc = testing::make_icc("RGB ");
    picture.metadata = std::make_shared<const Metadata>(metadata);
    all.push_back({std::string(name_of(format)), *encode(picture, format, {})});
  }
  all.push_back({"progressive jpeg", write_jpeg(make_pattern(48, 36, CV_8UC3), JpegKind::kProgressive)});
  all.push_back({"arithmetic jpeg", write_jpeg(make_pattern(48, 36, CV_8UC3), JpegKind::kArithmetic)});
  EncodeOptions lossless;
  lossless.webp_quality = 100;
  all.push_back({"lossless webp", *encode(make_picture(48, 36, CV_8UC3, true), FileFormat::kWebp, lossless)});
  all.push_back({"16-bit png", *encode(make_picture(48, 36, CV_16UC3), FileFormat::kPng, {})});
  testing::TiffKind tiled;
  tiled.tile_side = 16;
  tiled.compression = 5;
  all.push_back({"tiled tiff", testing::write_tiff(make_pattern(48, 36, CV_8UC3), tiled)});
  testing::TiffKind inner;
  inner.compression = 7;
  inner.photometric = 6;
  inner.rows_per_strip = 16;
  all.push_back({"jpeg tiff", testing::write_tiff(make_pattern(48, 36, CV_8UC3), inner)});
  return all;
}

bool is_about_the_picture(ErrorCode code) {
  return code == ErrorCode::kCorruptPicture || code == ErrorCode::kTruncatedPicture || code == ErrorCode::kUnsupportedFormat ||
         code == ErrorCode::kPictureTooLarge || code == ErrorCode::kInputEmpty;
}

TEST(Hostile, CutFilesAreRefusedOrWhole) {
  for (const Sample& sample : samples()) {
    const auto whole = decode(sample.file, kLimits);
    ASSERT_TRUE(whole.ok()) << sample.name << ": " << whole.error().message;
    for (std::size_t length = 0; length < sample.file.size(); length += 1 + length / 40) {
      const auto cut = decode({sample.file.data(), length}, kLimits);
      if (cut.ok()) {
        // Only what stood behind the pixels may be missing.
        EXPECT_EQ(testing::largest_difference(cut->colour, whole->colour), 0.0) << sample.name << " cut to " << length;
        EXPECT_TRUE(sample.name.ends_with("tiff")) << sample.name << " cut to " << length;
        EXPECT_NE(cut->metadata_warning, "") << sample.name << " cut to " << length;
      } else {
        EXPECT_TRUE(is_about_the_picture(cut.error().code)) << sample.name << " cut to " << length << ": " << cut.error().message;
        EXPECT_NE(cut.error().message, "");
      }
    }
  }
}

TEST(Hostile, CutInTheMiddleIsTruncated) {
  for (const Sample& sample : samples()) {
    const auto cut = decode({sample.file.data(), sample.file.size() / 2}, kLimits);
    ASSERT_FALSE(cut.ok()) << sample.name;
    EXPECT_EQ(cut.error().code, ErrorCode::kTruncatedPicture) << sample.name << ": " << cut.error().message;
  }
}

/// So that damage reaches further than the checksums.
void repair_png(ByteVector& file) {
  for (std::size_t at = 8; at + 12 <= file.size();) {
    const std::size_t length = static_cast<std::size_t>(file[at]) << 24 | static_cast<std::size_t>(file[at + 1]) << 16 |
                               static_cast<std::size_t>(file[at + 2]) << 8 | file[at + 3];
    if (length > file.size() - at - 12) return;
    const auto sum = static_cast<std::uint32_t>(crc32(0, file.data() + at + 4, static_cast<uInt>(length + 4)));
    for (std::size_t i = 0; i < 4; ++i) file[at + 8 + length + i] = static_cast<std::uint8_t>(sum >> (24 - 8 * i));
    at += 12 + length;
  }
}

TEST(Hostile, DamagedFilesNeverCrash) {
  // RETOUCHD_TEST_MUTATIONS=100000 searches longer.
  const char* wanted = std::getenv("RETOUCHD_TEST_MUTATIONS");
  const int rounds = wanted != nullptr ? std::atoi(wanted) : 300;
  constexpr std::uint32_t kSeed = 20'240'506;
  std::mt19937 random(kSeed);
  DecodeLimits limits;
  limits.megapixels = 4;
  limits.metadata = mebibytes(1);
  for (const Sample& sample : samples()) {
    for (int round = 0; round < rounds; ++round) {
      ByteVector damaged = sample.file;
      const int hits = 1 + static_cast<int>(random() % 4);
      for (int hit = 0; hit < hits; ++hit) {
        // Half of the hits go to the first 256 bytes, where the structure is.
        const std::size_t range = random() % 2 == 0 ? std::min<std::size_t>(256, damaged.size()) : damaged.size();
        const std::size_t at = random() % range;
        constexpr std::uint8_t kValues[] = {0x00, 0x01, 0x7F, 0x80, 0xFF};
        damaged[at] = random() % 2 == 0 ? kValues[random() % 5] : static_cast<std::uint8_t>(random());
      }
      if (sample.name.ends_with("png")) repair_png(damaged);
      const auto decoded = decode(damaged, limits);
      if (!decoded.ok()) {
        EXPECT_TRUE(is_about_the_picture(decoded.error().code))
            << sample.name << ", seed " << kSeed << ", round " << round << ": " << decoded.error().name() << ", "
            << decoded.error().message;
        continue;
      }
      const FileFormat format = format_for(*decoded, decoded->format);
      const auto encoded = encode(*decoded, format, {});
      EXPECT_TRUE(encoded.ok()) << sample.name << ", seed " << kSeed << ", round " << round << ": " << encoded.error().message;
    }
  }
}

TEST(Hostile, RandomBytesAreRefused) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    ByteVector bytes(1 + random() % 500);
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random());
    EXPECT_FALSE(decode(bytes, kLimits).ok());
  }
}

ByteVector huge_jpeg(std::uint16_t width, std::uint16_t height) {
  ByteVector file = write_jpeg(make_pattern(8, 8, CV_8UC3), JpegKind::kProgressive);
  for (std::size_t at = 2; at + 9 < file.size();) {
    if (file[at + 1] == 0xC2) {
      file[at + 5] = static_cast<std::uint8_t>(height >> 8);
      file[at + 6] = static_cast<std::uint8_t>(height);
      file[at + 7] = static_cast<std::uint8_t>(width >> 8);
      file[at + 8] = static_cast<std::uint8_t>(width);
      break;
    }
    at += 2 + (static_cast<std::size_t>(file[at + 2]) << 8 | file[at + 3]);
  }
  return file;
}

ByteVector huge_tiff() {
  testing::TiffKind kind;
  kind.rows_per_strip = 1'000'000;
  ByteVector file = testing::write_tiff(make_pattern(8, 8, CV_8UC3), kind);
  for (std::size_t at = 0; at + 12 <= file.size(); ++at) {  // width and length: tags 0x100 and 0x101
    const bool is_size = (file[at] == 0 || file[at] == 1) && file[at + 1] == 1 && file[at + 4] == 1 && file[at + 8] == 8;
    if (!is_size) continue;
    file[at + 2] = 4;  // LONG
    file[at + 8] = 0x60;
    file[at + 9] = 0xEA;
  }
  return file;
}

TEST(Hostile, HugeHeadersCostNoMemory) {
  rusage before{};
  getrusage(RUSAGE_SELF, &before);
  const std::vector<Sample> huge{{"png", testing::write_png({60'000, 60'000, 16, 6}, {}, {0})},
                                 {"png of 2^31", testing::write_png({0x7FFF'FFFF, 0x7FFF'FFFF, 16, 6}, {}, {0})},
                                 {"jpeg", huge_jpeg(60'000, 60'000)},
                                 {"tiff", huge_tiff()}};
  for (const Sample& sample : huge) {
    for (const auto& error : {read_header(sample.file, kLimits).error(), decode(sample.file, kLimits).error()}) {
      EXPECT_EQ(error.code, ErrorCode::kPictureTooLarge) << sample.name << ": " << error.message;
      EXPECT_THAT(error.message, ::testing::HasSubstr("limits.")) << sample.name;
    }
  }
  rusage after{};
  getrusage(RUSAGE_SELF, &after);
  EXPECT_LT(after.ru_maxrss - before.ru_maxrss, 64 * 1024);  // KiB
}

TEST(Hostile, APictureWithoutPixelsIsCorrupt) {
  const auto refused = decode(testing::write_png({0, 5, 8, 0}, {}, {0}), kLimits);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kCorruptPicture);
}

TEST(Hostile, ADirectoryThatPointsToItselfEnds) {
  testing::TiffKind kind;
  ByteVector file = testing::write_tiff(make_pattern(8, 8, CV_8UC3), kind);
  const std::size_t directory = file[4] | static_cast<std::size_t>(file[5]) << 8;
  const std::size_t entries = file[directory] | static_cast<std::size_t>(file[directory + 1]) << 8;
  std::copy_n(file.begin() + 4, 4, file.begin() + static_cast<std::ptrdiff_t>(directory + 2 + entries * 12));
  EXPECT_TRUE(decode(file, kLimits).ok());
}

}  // namespace
}  // namespace retouchd::image
