#include <dirent.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <exiv2/exiv2.hpp>
#include <ostream>
#include <vector>

#include "image/codec.h"
#include "image/colour.h"
#include "image/format_codec.h"
#include "image/orientation.h"
#include "tests/image/sample_pictures.h"
#include "tests/image/sample_raws.h"

namespace retouchd::image {
namespace {

using ::testing::HasSubstr;
using testing::largest_difference;
using testing::Sensor;
using testing::write_dng;

const DecodeLimits kLimits;
constexpr double kGray = 0.18;

/// Gray, white above red, blue, in quarters.
Sensor four_patches() {
  Sensor sensor;
  sensor.light = [](int x, int y) -> std::array<double, 3> {
    if (y < 48) return x < 64 ? std::array{kGray, kGray, kGray} : std::array{1.0, 1.0, 1.0};
    return x < 64 ? std::array{0.5, 0.05, 0.05} : std::array{0.02, 0.05, 0.4};
  };
  return sensor;
}

/// No symmetry.
Sensor slope() {
  Sensor sensor;
  sensor.light = [](int x, int y) { return std::array{0.1 + 0.006 * x, 0.2 + 0.002 * x + 0.004 * y, 0.9 - 0.005 * y}; };
  return sensor;
}

/// The sRGB curve, 0..1 to 0..65535.
double code_of(double linear) {
  return 65'535 * (linear <= 0.0031308 ? 12.92 * linear : 1.055 * std::pow(linear, 1 / 2.4) - 0.055);
}

cv::Scalar mean_of(const cv::Mat& picture, int x, int y) { return cv::mean(picture(cv::Rect(x - 10, y - 10, 20, 20))); }

TEST(Raw, DngIsKnownByItsTag) {
  const auto header = read_header(write_dng(four_patches()), kLimits);
  ASSERT_TRUE(header.ok()) << header.error().message;
  EXPECT_EQ(header->format, FileFormat::kRaw);
  EXPECT_EQ(header->width, 128U);
  EXPECT_EQ(header->height, 96U);
  EXPECT_EQ(header->channels, 3);
  EXPECT_EQ(header->bits, 16);
}

TEST(Raw, FlatPatchesAreDevelopedToTheirColours) {
  const auto picture = decode(write_dng(four_patches()), kLimits);
  ASSERT_TRUE(picture.ok()) << picture.error().message;
  ASSERT_EQ(picture->colour.type(), CV_16UC3);
  EXPECT_EQ(picture->file_bits, 16);
  EXPECT_EQ(picture->metadata_warning, "");
  ASSERT_TRUE(picture->metadata);
  EXPECT_EQ(picture->metadata->icc, srgb_profile());
  const auto expect_colour = [&](int x, int y, std::array<double, 3> linear) {
    const cv::Scalar seen = mean_of(picture->colour, x, y);
    for (int c = 0; c < 3; ++c)
      EXPECT_NEAR(seen[c], code_of(linear[static_cast<std::size_t>(c)]), 0.01 * 65'535) << x << "," << y;
  };
  expect_colour(32, 24, {kGray, kGray, kGray});
  expect_colour(96, 24, {1, 1, 1});
  expect_colour(32, 72, {0.5, 0.05, 0.05});
  expect_colour(96, 72, {0.02, 0.05, 0.4});
  const cv::Scalar gray = mean_of(picture->colour, 32, 24);
  EXPECT_NEAR(gray[0], gray[1], 200);
  EXPECT_NEAR(gray[2], gray[1], 200);
}

TEST(Raw, EachOrientationIsAppliedOnce) {
  const auto stored = decode(write_dng(slope(), 1), kLimits);
  ASSERT_TRUE(stored.ok());
  for (int orientation = 2; orientation <= 8; ++orientation) {
    const ByteVector file = write_dng(slope(), orientation);
    const auto header = read_header(file, kLimits);
    ASSERT_TRUE(header.ok());
    EXPECT_EQ(header->width, 128U);
    const auto turned = decode(file, kLimits);
    ASSERT_TRUE(turned.ok());
    EXPECT_EQ(largest_difference(turned->colour, upright(stored->colour, orientation)), 0.0) << orientation;
  }
}

struct Camera {
  const char* name;
  const char* make;
  const char* model;
  bool has_sub_directory;  ///< that describes the sensor, while the first one has the maker
  const char* mark;        ///< behind the header

  friend void PrintTo(const Camera& camera, std::ostream* out) { *out << camera.name; }
};

class RawOfMaker : public ::testing::TestWithParam<Camera> {};

// Made up from what is public of these layouts: uncompressed, without makers' notes, so that LibRaw takes daylight and its own
// table of colours.
TEST_P(RawOfMaker, IsKnownTurnedAndDeveloped) {
  const Camera& camera = GetParam();
  Sensor sensor = four_patches();
  sensor.width = 512;
  sensor.height = 384;
  sensor.black = 0;
  const auto patches = sensor.light;
  sensor.light = [&](int x, int y) { return patches(x / 4, y / 4); };
  testing::TiffEntries pixels = testing::dng_entries(sensor, 6);
  std::erase_if(pixels, [](const testing::TiffEntry& entry) {
    return entry.tag == 271 || entry.tag == 272 || entry.tag == 274 || entry.tag >= 50'000;
  });
  testing::TiffEntries first{testing::text_entry(271, camera.make), testing::text_entry(272, camera.model), {274, 3, {6}}};
  std::vector<testing::TiffEntries> inner;
  if (camera.has_sub_directory) {
    inner.push_back(pixels);
  } else {
    first.insert(first.end(), pixels.begin(), pixels.end());
  }
  const ByteVector file = testing::write_directories(first, inner, sensor.samples(), camera.mark);
  const auto picture = decode(file, kLimits);
  ASSERT_TRUE(picture.ok()) << picture.error().message;
  EXPECT_EQ(picture->format, FileFormat::kRaw);
  ASSERT_EQ(picture->width(), 384);
  ASSERT_GE(picture->height(), 500);
  // A quarter turn clockwise: red above gray on the left and right, blue below white.
  const cv::Scalar red = mean_of(picture->colour, 96, 128);
  const cv::Scalar gray = mean_of(picture->colour, 288, 128);
  const cv::Scalar blue = mean_of(picture->colour, 96, 384);
  const cv::Scalar white = mean_of(picture->colour, 288, 384);
  EXPECT_GT(red[0], 2 * red[1]);
  EXPECT_GT(blue[2], 2 * blue[0]);
  for (int c = 0; c < 3; ++c) EXPECT_GT(white[c], gray[c]);
  ASSERT_TRUE(picture->metadata);
  Exiv2::ExifData tags;
  const ByteVector& exif = picture->metadata->exif;
  Exiv2::ExifParser::decode(tags, exif.data(), static_cast<std::uint32_t>(exif.size()));
  EXPECT_EQ(tags["Exif.Image.Make"].toString(), camera.make);
}

INSTANTIATE_TEST_SUITE_P(Makers, RawOfMaker,
                         ::testing::Values(Camera{"Nef", "NIKON CORPORATION", "NIKON D700", true, ""},
                                           Camera{"Arw", "SONY", "ILCE-7M2", true, ""},
                                           Camera{"Cr2", "Canon", "Canon EOS 5D Mark II", false, "CR\x02"},
                                           Camera{"Pef", "PENTAX", "PENTAX K-5", false, ""},
                                           Camera{"Srw", "SAMSUNG", "NX300", false, ""}),
                         [](const auto& test) { return test.param.name; });

TEST(Raw, MetadataArriveAndAreWrittenToATiff) {
  const auto picture = decode(write_dng(slope(), 6), kLimits);
  ASSERT_TRUE(picture.ok());
  ASSERT_EQ(format_for(*picture, FileFormat::kRaw), FileFormat::kTiff);
  const auto file = encode(*picture, FileFormat::kTiff, {});
  ASSERT_TRUE(file.ok()) << file.error().message;
  const auto again = decode(*file, kLimits);
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(again->format, FileFormat::kTiff);
  EXPECT_EQ(largest_difference(again->colour, picture->colour), 0.0);
  ASSERT_TRUE(again->metadata);
  Exiv2::ExifData tags;
  const ByteVector& exif = again->metadata->exif;
  Exiv2::ExifParser::decode(tags, exif.data(), static_cast<std::uint32_t>(exif.size()));
  EXPECT_EQ(tags["Exif.Image.Make"].toString(), "Lomo");
  EXPECT_EQ(tags["Exif.Image.Copyright"].toString(), "2024 A. Photographer");
  EXPECT_EQ(tags.findKey(Exiv2::ExifKey("Exif.Image.DNGVersion")), tags.end());
}

TEST(Raw, CutFilesAreTruncated) {
  ByteVector file = write_dng(slope());
  file.resize(file.size() - 5'000);
  const auto refused = decode(file, kLimits);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kTruncatedPicture);
}

TEST(Raw, OtherRawFilesOfUnknownCamerasAreRefusedByName) {
  ByteVector file(4'000, 7);
  const std::string_view start("FUJIFILMCCD-RAW 0201");
  std::copy(start.begin(), start.end(), file.begin());
  const auto refused = decode(file, kLimits);
  ASSERT_FALSE(refused.ok());
  EXPECT_TRUE(refused.error().code == ErrorCode::kUnsupportedFormat || refused.error().code == ErrorCode::kCorruptPicture ||
              refused.error().code == ErrorCode::kTruncatedPicture);
  EXPECT_THAT(refused.error().message, HasSubstr("raw file"));
}

TEST(Raw, DamageNeverCrashes) {
  const ByteVector good = write_dng(slope());
  cv::RNG random(5);
  for (int round = 0; round < 200; ++round) {
    ByteVector bad = good;
    for (int i = 0; i < 1 + round % 6; ++i)
      bad[static_cast<std::size_t>(random.uniform(4, 500))] = static_cast<std::uint8_t>(random.uniform(0, 256));
    if (round % 5 == 0) bad.resize(static_cast<std::size_t>(random.uniform(8, static_cast<int>(bad.size()))));
    DecodeLimits limits;
    limits.megapixels = 4;
    const auto decoded = decode(bad, limits);
    EXPECT_TRUE(decoded.ok() || !decoded.error().message.empty());
  }
}

int threads_of_this_process() {
  int count = 0;
  DIR* folder = ::opendir("/proc/self/task");
  for (const dirent* entry = ::readdir(folder); entry != nullptr; entry = ::readdir(folder))
    count += entry->d_name[0] != '.' ? 1 : 0;
  ::closedir(folder);
  return count;
}

TEST(Raw, DevelopingStartsNoThreads) {
  const int before = threads_of_this_process();
  ASSERT_TRUE(decode(write_dng(slope()), kLimits).ok());
  EXPECT_EQ(threads_of_this_process(), before);
}

}  // namespace
}  // namespace retouchd::image
