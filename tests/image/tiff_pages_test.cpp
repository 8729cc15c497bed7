#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <tiffio.h>

#include "image/codec.h"
#include "image/metadata.h"
#include "tests/image/sample_files.h"
#include "tests/image/sample_pictures.h"

namespace retouchd::image {
namespace {

using ::testing::HasSubstr;
using testing::largest_difference;
using testing::make_pattern;
using testing::TiffKind;
using testing::write_tiff;

DecodeLimits all_pages() {
  DecodeLimits limits;
  limits.all_pages = true;
  return limits;
}

/// Three equal pages, of which those in `reduced` say that they are thumbnails.
ByteVector three_pages(const cv::Mat& pixels, const std::vector<int>& reduced = {}, bool is_big = false) {
  TiffKind kind;
  kind.pages = 3;
  kind.is_big_tiff = is_big;
  kind.more_tags = [&](void* tiff, int page) {
    const bool is_reduced = std::find(reduced.begin(), reduced.end(), page) != reduced.end();
    TIFFSetField(static_cast<TIFF*>(tiff), TIFFTAG_SUBFILETYPE, is_reduced ? FILETYPE_REDUCEDIMAGE : 0);
  };
  return write_tiff(pixels, kind);
}

std::uint32_t number_at(const ByteVector& file, std::size_t at, std::size_t bytes) {
  std::uint32_t value = 0;
  for (std::size_t i = bytes; i > 0; --i) value = value << 8 | file[at + i - 1];
  return value;
}

/// Where the offset of the directory behind the one at `directory` stands.
std::size_t link_of(const ByteVector& file, std::size_t directory) { return directory + 2 + number_at(file, directory, 2) * 12; }

TEST(TiffPages, TheFirstIsRestoredWithAWarningUnlessAllAreWanted) {
  const cv::Mat pixels = make_pattern(30, 20, CV_8UC3);
  for (const bool is_big : {false, true}) {
    const ByteVector file = three_pages(pixels, {}, is_big);
    const auto header = read_header(file, {});
    ASSERT_TRUE(header.ok());
    EXPECT_EQ(header->frames, 3);
    EXPECT_EQ(header->more_pages, Bytes{0});
    const auto first = decode(file, {});
    ASSERT_TRUE(first.ok());
    EXPECT_TRUE(first->pages.empty());
    EXPECT_THAT(first->metadata_warning, HasSubstr("several pictures (3)"));

    const auto all_header = read_header(file, all_pages());
    ASSERT_TRUE(all_header.ok());
    EXPECT_EQ(all_header->more_pages, Bytes{2 * 30 * 20 * 3});
    EXPECT_EQ(all_header->decoded_bytes(), Bytes{3 * 30 * 20 * 3});
    const auto all = decode(file, all_pages());
    ASSERT_TRUE(all.ok()) << all.error().message;
    ASSERT_EQ(all->pages.size(), 2U);
    for (const Picture& page : all->pages) EXPECT_EQ(largest_difference(page.colour, pixels), 0.0);
    EXPECT_THAT(all->metadata_warning, ::testing::Not(HasSubstr("several pictures")));
  }
}

TEST(TiffPages, ThumbnailsAreNoPages) {
  const cv::Mat pixels = make_pattern(30, 20, CV_8UC3);
  const ByteVector file = three_pages(pixels, {1});
  EXPECT_EQ(read_header(file, {})->frames, 2);
  const auto all = decode(file, all_pages());
  ASSERT_TRUE(all.ok());
  EXPECT_EQ(all->pages.size(), 1U);
  const ByteVector one = three_pages(pixels, {1, 2});
  EXPECT_EQ(decode(one, {})->metadata_warning, "");
}

TEST(TiffPages, AnUnsupportedPageIsNamed) {
  TiffKind kind;
  kind.pages = 3;
  kind.more_tags = [](void* tiff, int page) {
    if (page == 2) TIFFSetField(static_cast<TIFF*>(tiff), TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_CIELAB);
  };
  const ByteVector file = write_tiff(make_pattern(30, 20, CV_8UC3), kind);
  EXPECT_TRUE(read_header(file, {}).ok());
  const auto refused = read_header(file, all_pages());
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kUnsupportedFormat);
  EXPECT_THAT(refused.error().message, HasSubstr("page 3 of the TIFF: the TIFF is Lab"));
}

TEST(TiffPages, TooManyPagesAreRefused) {
  const ByteVector file = three_pages(make_pattern(30, 20, CV_8UC3));
  DecodeLimits limits;
  limits.frames = 2;
  EXPECT_EQ(read_header(file, limits).error().code, ErrorCode::kPictureTooLarge);
  limits = all_pages();
  limits.megapixels = 0.0013;  // two of three
  const auto refused = read_header(file, limits);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kPictureTooLarge);
  EXPECT_THAT(refused.error().message, HasSubstr("page 3"));
}

TEST(TiffPages, DirectoriesInACircleEnd) {
  ByteVector file = three_pages(make_pattern(30, 20, CV_8UC3));
  const std::size_t first = number_at(file, 4, 4);
  const std::size_t second = number_at(file, link_of(file, first), 4);
  for (std::size_t i = 0; i < 4; ++i) file[link_of(file, second) + i] = file[4 + i];  // back to the first
  EXPECT_EQ(read_header(file, {})->frames, 2);
  const auto all = decode(file, all_pages());
  ASSERT_TRUE(all.ok()) << all.error().message;
  EXPECT_EQ(all->pages.size(), 1U);
}

TEST(TiffPages, APageBeyondTheEndIsRefusedOnlyWhereItIsWanted) {
  ByteVector file = three_pages(make_pattern(30, 20, CV_8UC3));
  const std::size_t link = link_of(file, number_at(file, 4, 4));
  file[link + 3] = 0x7F;
  EXPECT_TRUE(decode(file, {}).ok());
  const auto refused = decode(file, all_pages());
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kTruncatedPicture);
  EXPECT_THAT(refused.error().message, HasSubstr("page 2"));
}

TEST(TiffPages, PagesOfDifferentKindsGoThereAndBack) {
  Picture picture = testing::make_picture(40, 30, CV_8UC3);
  picture.pages.push_back(testing::make_picture(20, 50, CV_16UC1, true));
  picture.pages.push_back(testing::make_picture(33, 44, CV_8UC1));
  Metadata first;
  first.icc = testing::make_icc("RGB ");
  first.exif = testing::make_exif(1);
  picture.metadata = std::make_shared<const Metadata>(first);
  Metadata last;
  last.icc = testing::make_icc("GRAY", 400);
  last.dpi_x = 600.0;
  last.dpi_y = 300.0;
  picture.pages[1].metadata = std::make_shared<const Metadata>(last);

  for (const bool has_exif : {true, false}) {
    EncodeOptions options;
    if (!has_exif) options.metadata = EncodeOptions::Metadata::kStrip;
    const auto file = encode(picture, FileFormat::kTiff, options);
    ASSERT_TRUE(file.ok()) << file.error().message;
    const auto again = decode(*file, all_pages());
    ASSERT_TRUE(again.ok()) << again.error().message;
    EXPECT_EQ(largest_difference(again->colour, picture.colour), 0.0);
    EXPECT_EQ(again->metadata->icc, first.icc);
    const std::string exif(again->metadata->exif.begin(), again->metadata->exif.end());
    EXPECT_EQ(exif.find("Lomo") != std::string::npos, has_exif);
    ASSERT_EQ(again->pages.size(), 2U);
    EXPECT_EQ(largest_difference(again->pages[0].colour, picture.pages[0].colour), 0.0);
    EXPECT_EQ(largest_difference(again->pages[0].alpha, picture.pages[0].alpha), 0.0);
    EXPECT_EQ(largest_difference(again->pages[1].colour, picture.pages[1].colour), 0.0);
    ASSERT_NE(again->pages[1].metadata, nullptr);
    EXPECT_EQ(again->pages[1].metadata->icc, last.icc);
    EXPECT_NEAR(*again->pages[1].metadata->dpi_x, 600.0, 1e-6);
  }
}

}  // namespace
}  // namespace retouchd::image
