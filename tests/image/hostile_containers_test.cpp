// AVIF, HEIC and JPEG XL files that end early or were damaged: an error of the right kind, no crash.

#include <gtest/gtest.h>

#include <cstdlib>
#include <random>
#include <set>
#include <string>

#include "image/codec.h"
#include "image/metadata.h"
#include "tests/image/heic_files.h"
#include "tests/image/sample_pictures.h"
#include "tests/image/sample_profiles.h"

namespace retouchd::image {
namespace {

using testing::make_picture;

struct Sample {
  std::string name;
  ByteVector file;
};

std::vector<Sample> samples() {
  std::vector<Sample> all;
  Metadata metadata;
  metadata.exif = testing::make_exif(6);
  metadata.xmp = testing::make_xmp();
  metadata.icc = testing::make_rgb_profile(testing::kDisplayP3Like);
  for (const FileFormat format : {FileFormat::kAvif, FileFormat::kJxl}) {
    for (const int quality : {80, 100}) {
      Picture picture = make_picture(48, 36, CV_8UC3, true);
      picture.metadata = std::make_shared<const Metadata>(metadata);
      EncodeOptions options;
      options.avif_quality = quality;
      options.jxl_quality = quality;
      all.push_back({std::string(name_of(format)) + std::to_string(quality), *encode(picture, format, options)});
    }
  }
  all.push_back({"bare jxl", *encode(make_picture(48, 36, CV_16UC1), FileFormat::kJxl, {})});
  if (testing::can_write_heic()) {
    testing::HeicKind kind;
    kind.exif = metadata.exif;
    kind.xmp = metadata.xmp;
    kind.orientation = 6;
    kind.chroma = "420";
    const Picture picture = make_picture(64, 64, CV_8UC3, true);
    all.push_back({"heic", testing::write_heic(picture.colour, picture.alpha, kind)});
    all.push_back({"tiled heic", testing::write_heic_grid(picture.colour, {32, 32}, 1)});
  }
  return all;
}

bool is_about_the_picture(ErrorCode code) {
  const std::set<ErrorCode> fine{ErrorCode::kCorruptPicture,   ErrorCode::kTruncatedPicture, ErrorCode::kUnsupportedFormat,
                                 ErrorCode::kOverMemoryBudget, ErrorCode::kPictureTooLarge,  ErrorCode::kInputEmpty};
  return fine.contains(code);
}

DecodeLimits small_limits() {
  DecodeLimits limits;
  limits.megapixels = 4;
  limits.metadata = mebibytes(1);
  return limits;
}

TEST(HostileContainers, CutFilesAreTruncated) {
  for (const Sample& sample : samples()) {
    const auto whole = decode(sample.file, small_limits());
    ASSERT_TRUE(whole.ok()) << sample.name << ": " << whole.error().message;
    for (std::size_t length = 1; length < sample.file.size(); length += 1 + length / 50) {
      const auto cut = decode({sample.file.data(), length}, small_limits());
      if (cut.ok()) {
        // Only what stood behind the pixels may be missing.
        EXPECT_EQ(testing::largest_difference(cut->colour, whole->colour), 0.0) << sample.name << " cut to " << length;
        EXPECT_NE(cut->metadata_warning, "") << sample.name << " cut to " << length;
      } else {
        EXPECT_TRUE(cut.error().code == ErrorCode::kTruncatedPicture || length < 12)
            << sample.name << " cut to " << length << ": " << cut.error().name() << ", " << cut.error().message;
      }
    }
  }
}

TEST(HostileContainers, DamagedFilesNeverCrash) {
  // RETOUCHD_TEST_MUTATIONS=100000 searches longer.
  const char* wanted = std::getenv("RETOUCHD_TEST_MUTATIONS");
  const int rounds = wanted != nullptr ? std::atoi(wanted) : 300;
  constexpr std::uint32_t kSeed = 20'260'101;
  std::mt19937 random(kSeed);
  for (const Sample& sample : samples()) {
    for (int round = 0; round < rounds; ++round) {
      ByteVector damaged = sample.file;
      const int hits = 1 + static_cast<int>(random() % 4);
      for (int hit = 0; hit < hits; ++hit) {
        // Half of the hits go to the first 512 bytes, where the boxes are.
        const std::size_t range = random() % 2 == 0 ? std::min<std::size_t>(512, damaged.size()) : damaged.size();
        std::uint8_t& byte = damaged[random() % range];
        constexpr std::uint8_t kValues[] = {0x00, 0x01, 0x7F, 0x80, 0xFF};
        byte = random() % 2 == 0 ? kValues[random() % 5] : static_cast<std::uint8_t>(byte ^ 1U << random() % 8);
      }
      const auto decoded = decode(damaged, small_limits());
      if (decoded.ok()) {
        EXPECT_FALSE(decoded->colour.empty());
      } else {
        EXPECT_TRUE(is_about_the_picture(decoded.error().code))
            << sample.name << ", seed " << kSeed << ", round " << round << ": " << decoded.error().name() << ", "
            << decoded.error().message;
        EXPECT_NE(decoded.error().message, "");
      }
    }
  }
}

}  // namespace
}  // namespace retouchd::image
