#include "sandbox/codec_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "image/metadata.h"
#include "tests/image/heic_files.h"
#include "tests/image/sample_pictures.h"
#include "tests/image/sample_raws.h"

namespace retouchd::sandbox {
namespace {

using image::FileFormat;
using image::Picture;
using image::testing::largest_difference;
using image::testing::make_picture;
using ::testing::HasSubstr;

std::unique_ptr<CodecPool> open_pool(int workers = 1) {
  CodecPool::Options options;
  options.workers = workers;
  options.program = RETOUCHD_CODEC_PROGRAM;
  auto pool = CodecPool::open(options);
  EXPECT_TRUE(pool) << pool.error().message;
  return pool ? *std::move(pool) : nullptr;
}

/// With every kind of metadata.
Picture documented(Picture picture, int orientation) {
  image::Metadata metadata;
  metadata.exif = image::testing::make_exif(orientation);
  metadata.xmp = image::testing::make_xmp();
  metadata.iptc = image::testing::make_iptc();
  metadata.icc = image::testing::make_icc(picture.is_gray() ? "GRAY" : "RGB ");
  metadata.comment = "a comment";
  metadata.texts = {{"Title", "Grüße"}, {"Software", "none"}};
  metadata.dpi_x = 300;
  metadata.dpi_y = 150;
  picture.metadata = std::make_shared<const image::Metadata>(std::move(metadata));
  picture.provenance = {{"Network", "small"}, {"Score", "0.5"}};
  return picture;
}

void expect_same(const Picture& sandboxed, const Picture& local) {
  EXPECT_EQ(largest_difference(sandboxed.colour, local.colour), 0);
  EXPECT_EQ(sandboxed.alpha.empty(), local.alpha.empty());
  if (!local.alpha.empty()) {
    EXPECT_EQ(largest_difference(sandboxed.alpha, local.alpha), 0);
  }
  EXPECT_EQ(sandboxed.format, local.format);
  EXPECT_EQ(sandboxed.range.low, local.range.low);
  EXPECT_EQ(sandboxed.range.high, local.range.high);
  EXPECT_EQ(sandboxed.space, local.space);
  EXPECT_EQ(sandboxed.file_bits, local.file_bits);
  EXPECT_EQ(sandboxed.orientation, local.orientation);
  EXPECT_EQ(sandboxed.metadata_warning, local.metadata_warning);
  EXPECT_EQ(sandboxed.provenance, local.provenance);
  ASSERT_EQ(sandboxed.metadata == nullptr, local.metadata == nullptr);
  if (local.metadata) {
    const image::Metadata& a = *sandboxed.metadata;
    const image::Metadata& b = *local.metadata;
    EXPECT_EQ(a.exif, b.exif);
    EXPECT_EQ(a.xmp, b.xmp);
    EXPECT_EQ(a.iptc, b.iptc);
    EXPECT_EQ(a.icc, b.icc);
    EXPECT_EQ(a.comment, b.comment);
    EXPECT_EQ(a.texts, b.texts);
    EXPECT_EQ(a.dpi_x, b.dpi_x);
    EXPECT_EQ(a.dpi_y, b.dpi_y);
    EXPECT_EQ(a.gamma, b.gamma);
    EXPECT_EQ(a.chromaticities, b.chromaticities);
    EXPECT_EQ(a.srgb_intent, b.srgb_intent);
  }
  ASSERT_EQ(sandboxed.pages.size(), local.pages.size());
  for (std::size_t i = 0; i < local.pages.size(); ++i) expect_same(sandboxed.pages[i], local.pages[i]);
}

struct Kind {
  FileFormat format;
  int type;
  bool has_alpha;
  int orientation;
};

void PrintTo(const Kind& kind, std::ostream* out) {
  *out << image::name_of(kind.format) << " of type " << kind.type << (kind.has_alpha ? " with alpha" : "") << ", orientation "
       << kind.orientation;
}

class EveryKind : public ::testing::TestWithParam<Kind> {};

TEST_P(EveryKind, IsWrittenAndReadAsInThisProcess) {
  const Kind& kind = GetParam();
  const auto pool = open_pool();
  ASSERT_TRUE(pool);
  image::LocalCodec local;
  const Picture picture = documented(make_picture(301, 203, kind.type, kind.has_alpha), kind.orientation);

  std::string local_warning;
  std::string pool_warning;
  const auto expected = local.encode(picture, kind.format, {}, &local_warning);
  ASSERT_TRUE(expected) << expected.error().message;
  const auto written = pool->encode(picture, kind.format, {}, &pool_warning);
  ASSERT_TRUE(written) << written.error().message;
  EXPECT_TRUE(*written == *expected);
  EXPECT_EQ(pool_warning, local_warning);

  const auto file = input_of(*expected);
  ASSERT_TRUE(file);
  const auto header = pool->read_header(*file, {});
  ASSERT_TRUE(header) << header.error().message;
  const auto local_header = local.read_header(*file, {});
  ASSERT_TRUE(local_header);
  EXPECT_EQ(header->format, kind.format);
  EXPECT_EQ(header->decoded_bytes(), local_header->decoded_bytes());
  EXPECT_EQ(header->working, local_header->working);
  EXPECT_EQ(header->orientation, local_header->orientation);

  const auto decoded = pool->decode(*file, *header, {});
  ASSERT_TRUE(decoded) << decoded.error().message;
  const auto local_decoded = local.decode(*file, *local_header, {});
  ASSERT_TRUE(local_decoded);
  expect_same(*decoded, *local_decoded);
}

INSTANTIATE_TEST_SUITE_P(Formats, EveryKind,
                         ::testing::Values(Kind{FileFormat::kJpeg, CV_8UC3, false, 1}, Kind{FileFormat::kJpeg, CV_8UC1, false, 6},
                                           Kind{FileFormat::kPng, CV_8UC3, true, 8}, Kind{FileFormat::kPng, CV_16UC3, false, 1},
                                           Kind{FileFormat::kPng, CV_16UC1, true, 3}, Kind{FileFormat::kTiff, CV_8UC3, false, 5},
                                           Kind{FileFormat::kTiff, CV_16UC3, true, 1},
                                           Kind{FileFormat::kTiff, CV_16UC1, false, 1}, Kind{FileFormat::kWebp, CV_8UC3, true, 6},
                                           Kind{FileFormat::kWebp, CV_8UC3, false, 1}, Kind{FileFormat::kAvif, CV_8UC3, false, 1},
                                           Kind{FileFormat::kJxl, CV_8UC3, true, 1}, Kind{FileFormat::kJxl, CV_16UC3, false, 1},
                                           Kind{FileFormat::kPnm, CV_16UC3, false, 1}));

/// Header and pixels of `bytes` are the same in a worker as here.
void expect_read_as_here(const std::vector<std::uint8_t>& bytes, const image::DecodeLimits& limits = {}) {
  const auto pool = open_pool();
  ASSERT_TRUE(pool);
  image::LocalCodec local;
  const auto here = local.decode(bytes, limits);
  ASSERT_TRUE(here) << here.error().message;
  const auto there = pool->decode(bytes, limits);
  ASSERT_TRUE(there) << there.error().message;
  expect_same(*there, *here);
}

TEST(CodecPool, ReadsHeicOfPhones) {
  if (!image::testing::can_write_heic()) GTEST_SKIP() << "libheif has no encoder";
  expect_read_as_here(image::testing::write_heic(make_picture(96, 64, CV_8UC3).colour, {}, {}));
  expect_read_as_here(image::testing::write_heic_grid(make_picture(256, 128, CV_8UC3).colour, {64, 64}, 1));
}

TEST(CodecPool, ReadsRawOfCameras) {
  image::testing::Sensor sensor;
  sensor.light = [](int x, int y) { return std::array<double, 3>{0.1 + x / 500.0, 0.2 + y / 400.0, 0.3}; };
  expect_read_as_here(image::testing::write_dng(sensor, 6));
}

TEST(CodecPool, ReadsAndWritesAllPages) {
  Picture picture = documented(make_picture(60, 40, CV_16UC3, true), 1);
  picture.pages = {make_picture(30, 50, CV_16UC3), make_picture(70, 10, CV_8UC1)};
  const auto pool = open_pool();
  ASSERT_TRUE(pool);
  image::LocalCodec local;
  const auto bytes = local.encode(picture, FileFormat::kTiff, {});
  ASSERT_TRUE(bytes) << bytes.error().message;
  const auto written = pool->encode(picture, FileFormat::kTiff, {});
  ASSERT_TRUE(written) << written.error().message;
  EXPECT_TRUE(*written == *bytes);
  image::DecodeLimits limits;
  limits.all_pages = true;
  expect_read_as_here(*bytes, limits);
}

TEST(CodecPool, ReadsAndWritesPicturesBeyondTheArena) {
  const Picture picture = make_picture(4200, 3100, CV_8UC3, true);
  image::EncodeOptions fast;
  fast.tiff_compression = image::EncodeOptions::TiffCompression::kNone;
  const auto pool = open_pool();
  ASSERT_TRUE(pool);
  image::LocalCodec local;
  const auto bytes = local.encode(picture, FileFormat::kTiff, fast);
  ASSERT_TRUE(bytes);
  const auto written = pool->encode(picture, FileFormat::kTiff, fast);
  ASSERT_TRUE(written) << written.error().message;
  EXPECT_TRUE(*written == *bytes);
  expect_read_as_here(*bytes);
}

TEST(CodecPool, ReportsTheErrorsOfTheCodecsUnchanged) {
  const auto pool = open_pool();
  ASSERT_TRUE(pool);
  image::LocalCodec local;
  const auto good = local.encode(make_picture(64, 64, CV_8UC3), FileFormat::kPng, {});
  ASSERT_TRUE(good);
  image::DecodeLimits tight;
  tight.side = 32;
  const std::vector<std::uint8_t> text{'n', 'o', ' ', 'p', 'i', 'c', 't', 'u', 'r', 'e', ' ', 'a', 't', ' ', 'a', 'l', 'l'};
  const std::vector<std::uint8_t> cut(good->begin(), good->begin() + static_cast<long>(good->size() / 2));
  for (const auto& [bytes, limits] : {std::pair{text, image::DecodeLimits{}}, std::pair{cut, image::DecodeLimits{}},
                                      std::pair{*good, tight}, std::pair{std::vector<std::uint8_t>{}, tight}}) {
    const auto expected = local.decode(bytes, limits);
    const auto found = pool->decode(bytes, limits);
    ASSERT_FALSE(expected);
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().code, expected.error().code);
    EXPECT_EQ(found.error().message, expected.error().message);
  }
}

TEST(CodecPool, LeavesDecodedPixelsToTheirOwner) {
  const auto pool = open_pool();
  ASSERT_TRUE(pool);
  const auto file = image::encode(make_picture(64, 48, CV_8UC3, true), FileFormat::kPng, {});
  ASSERT_TRUE(file);
  cv::Mat colour;
  {
    auto decoded = pool->decode(*file, {});
    ASSERT_TRUE(decoded);
    colour = decoded->colour;
  }
  EXPECT_EQ(largest_difference(colour, make_picture(64, 48, CV_8UC3).colour), 0);
  colour.setTo(5);  // private to this process
  EXPECT_EQ(colour.at<cv::Vec3b>(40, 40), cv::Vec3b(5, 5, 5));
}

TEST(CodecPool, ServesManyThreadsAtOnce) {
  const auto pool = open_pool(2);
  ASSERT_TRUE(pool);
  std::vector<std::thread> threads;
  std::array<int, 6> good{};
  for (std::size_t i = 0; i < good.size(); ++i) {
    threads.emplace_back([&, i] {
      const Picture picture = make_picture(100 + static_cast<int>(i), 50, CV_8UC3);
      for (int round = 0; round < 20; ++round) {
        const auto file = pool->encode(picture, FileFormat::kPng, {});
        const auto decoded = file ? pool->decode(*file, {}) : file.error();
        if (decoded && largest_difference(decoded->colour, picture.colour) == 0) ++good[i];
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(good, ::testing::Each(20));
  EXPECT_EQ(pool->counts().pictures, 240U);
  EXPECT_EQ(pool->counts().started, 2U);
}

TEST(CodecPool, StartsAFreshWorkerAfterManyPictures) {
  const auto pool = open_pool();
  ASSERT_TRUE(pool);
  const auto bytes = image::encode(make_picture(8, 8, CV_8UC3), FileFormat::kPng, {});
  ASSERT_TRUE(bytes);
  const auto file = input_of(*bytes);
  ASSERT_TRUE(file);
  for (int i = 0; i < 1600; ++i) ASSERT_TRUE(pool->read_header(*file, {}));
  EXPECT_EQ(pool->counts().started, 2U);
}

TEST(CodecPool, SaysWhenItsProgramIsMissing) {
  CodecPool::Options options;
  options.program = "/nowhere/retouchd-codec";
  const auto pool = CodecPool::open(options);
  ASSERT_FALSE(pool);
  EXPECT_EQ(pool.error().code, ErrorCode::kBadConfig);
  EXPECT_THAT(pool.error().message, HasSubstr("/nowhere/retouchd-codec is missing"));
  EXPECT_THAT(pool.error().message, HasSubstr("sandbox.enabled"));
}

TEST(CodecPool, SaysWhenItsProgramIsNone) {
  CodecPool::Options options;
  options.program = "/bin/true";
  const auto pool = CodecPool::open(options);
  ASSERT_FALSE(pool);
  EXPECT_EQ(pool.error().code, ErrorCode::kBadConfig);
  EXPECT_THAT(pool.error().message, HasSubstr("ended with status 0"));
}

}  // namespace
}  // namespace retouchd::sandbox
