#include "image/colour.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <lcms2.h>

#include <atomic>
#include <cmath>
#include <ostream>
#include <random>
#include <thread>

#include "tests/image/sample_pictures.h"
#include "tests/image/sample_profiles.h"

namespace retouchd::image {
namespace {

using ::testing::HasSubstr;
using testing::kAdobeRgbLike;
using testing::kDisplayP3Like;
using testing::kProPhotoLike;
using testing::kSrgbLike;
using testing::largest_difference;
using testing::make_cmyk_profile;
using testing::make_gray_profile;
using testing::make_pattern;
using testing::make_picture;
using testing::make_rgb_profile;

cv::Mat random_pixels(int type) {
  cv::Mat pixels(64, 64, type);
  cv::RNG(42).fill(pixels, cv::RNG::UNIFORM, 0, pixels.depth() == CV_8U ? 256 : 65'536);
  return pixels;
}

/// Lab of `pixels` (of `type` in LittleCMS's terms) under `icc`, in double precision and without any table of its own.
cv::Mat lab_of(const cv::Mat& pixels, const ByteVector& icc, cmsUInt32Number type, bool has_black_point = false) {
  cmsHPROFILE profile = cmsOpenProfileFromMem(icc.data(), static_cast<cmsUInt32Number>(icc.size()));
  cmsHPROFILE lab = cmsCreateLab4Profile(nullptr);
  cmsHTRANSFORM way = cmsCreateTransform(profile, type, lab, TYPE_Lab_DBL, INTENT_RELATIVE_COLORIMETRIC,
                                         cmsFLAGS_NOOPTIMIZE | (has_black_point ? cmsFLAGS_BLACKPOINTCOMPENSATION : 0U));
  cv::Mat result(pixels.size(), CV_64FC3);
  cmsDoTransform(way, pixels.data, result.data, static_cast<cmsUInt32Number>(pixels.total()));
  cmsDeleteTransform(way);
  cmsCloseProfile(lab);
  cmsCloseProfile(profile);
  return result;
}

double largest_delta_e(const cv::Mat& a, const cv::Mat& b) {
  double most = 0;
  for (std::size_t i = 0; i < a.total(); ++i) {
    const auto* p = reinterpret_cast<const cmsCIELab*>(a.data) + i;
    const auto* q = reinterpret_cast<const cmsCIELab*>(b.data) + i;
    most = std::max(most, cmsCIE2000DeltaE(p, q, 1, 1, 1));
  }
  return most;
}

Picture with_profile(cv::Mat colour, ByteVector icc) {
  Picture picture;
  picture.colour = std::move(colour);
  picture.file_bits = static_cast<int>(picture.colour.elemSize1()) * 8;
  Metadata metadata;
  metadata.icc = std::move(icc);
  picture.metadata = std::make_shared<const Metadata>(std::move(metadata));
  return picture;
}

Picture converted(Picture picture) {
  HeapPlanes memory;
  to_extended_srgb(picture, memory);
  return picture;
}

TEST(Colour, CmykIsConvertedAsLittleCmsDoesInDoublePrecision) {
  const ByteVector icc = make_cmyk_profile();
  HeapPlanes memory;
  // What leaves sRGB's gamut is clipped, so colours inside it are compared: tints.
  cv::Mat inks = random_pixels(CV_8UC4) / 2;
  auto rgb = cmyk_to_srgb(inks, icc, memory);
  ASSERT_TRUE(rgb.ok()) << rgb.error().message;
  ASSERT_EQ(rgb->type(), CV_8UC3);
  cmsHPROFILE from = cmsOpenProfileFromMem(icc.data(), static_cast<cmsUInt32Number>(icc.size()));
  cmsHPROFILE to = cmsCreate_sRGBProfile();
  cmsHTRANSFORM way = cmsCreateTransform(from, TYPE_CMYK_DBL, to, TYPE_RGB_DBL, INTENT_RELATIVE_COLORIMETRIC,
                                         cmsFLAGS_NOOPTIMIZE | cmsFLAGS_BLACKPOINTCOMPENSATION);
  cv::Mat exact_inks;
  inks.convertTo(exact_inks, CV_64F, 100.0 / 255);
  cv::Mat exact(inks.size(), CV_64FC3);
  cmsDoTransform(way, exact_inks.data, exact.data, static_cast<cmsUInt32Number>(inks.total()));
  cmsDeleteTransform(way);
  cmsCloseProfile(to);
  cmsCloseProfile(from);
  cv::Mat within;
  cv::min(exact, 1.0, within);
  cv::max(within, 0.0, within);
  const cv::Mat expected = lab_of(within, srgb_profile(), TYPE_RGB_DBL);
  EXPECT_LT(largest_delta_e(lab_of(*rgb, srgb_profile(), TYPE_RGB_8), expected), 1.0);
  cv::Mat wide;
  inks.convertTo(wide, CV_16U, 257);
  rgb = cmyk_to_srgb(wide, icc, memory);
  ASSERT_TRUE(rgb.ok());
  EXPECT_LT(largest_delta_e(lab_of(*rgb, srgb_profile(), TYPE_RGB_16), expected), 1.0);
}

TEST(Colour, PaperIsWhiteAndFullInkIsDark) {
  HeapPlanes memory;
  cv::Mat inks(1, 2, CV_8UC4, cv::Scalar(0, 0, 0, 0));
  inks.at<cv::Vec4b>(0, 1) = {0, 0, 0, 255};
  const auto rgb = cmyk_to_srgb(inks, make_cmyk_profile(), memory);
  ASSERT_TRUE(rgb.ok());
  for (int c = 0; c < 3; ++c) {
    EXPECT_GE(rgb->at<cv::Vec3b>(0, 0)[c], 253);
    EXPECT_LE(rgb->at<cv::Vec3b>(0, 1)[c], 50);
  }
}

TEST(Colour, CmykNeedsAProfileOfItsOwn) {
  HeapPlanes memory;
  const cv::Mat inks(2, 2, CV_8UC4, cv::Scalar::all(9));
  for (const ByteVector& icc : {ByteVector{}, ByteVector(500, 0x41), make_rgb_profile(kSrgbLike), testing::make_link_profile()}) {
    const auto refused = cmyk_to_srgb(inks, icc, memory);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, ErrorCode::kUnsupportedFormat);
    EXPECT_THAT(refused.error().message, HasSubstr("CMYK"));
    EXPECT_THAT(refused.error().message, HasSubstr("convert it to RGB"));
  }
}

struct SpaceCase {
  const char* name;
  testing::RgbSpace space;

  friend void PrintTo(const SpaceCase& test, std::ostream* out) { *out << test.name; }
};

class WorkingRgb : public ::testing::TestWithParam<SpaceCase> {};

TEST_P(WorkingRgb, ComesBackFromSrgb) {
  for (const int type : {CV_8UC3, CV_16UC3}) {
    const cv::Mat pixels = random_pixels(type);
    const Picture there = converted(with_profile(pixels, make_rgb_profile(GetParam().space)));
    ASSERT_EQ(there.space, WorkingSpace::kExtendedSrgb);
    ASSERT_EQ(there.colour.type(), CV_32FC3);
    const auto back = to_file_space(there);
    ASSERT_TRUE(back.ok());
    EXPECT_EQ(back->space, WorkingSpace::kFile);
    EXPECT_LE(largest_difference(back->colour, pixels), type == CV_8UC3 ? 0.0 : 8.0);
  }
}

TEST_P(WorkingRgb, LooksTheSameInSrgb) {
  const cv::Mat pixels = random_pixels(CV_16UC3);
  const ByteVector icc = make_rgb_profile(GetParam().space);
  const Picture there = converted(with_profile(pixels, icc));
  cv::Mat exact;
  there.colour.convertTo(exact, CV_64F);
  EXPECT_LT(largest_delta_e(lab_of(exact, srgb_profile(), TYPE_RGB_DBL), lab_of(pixels, icc, TYPE_RGB_16)), 0.1);
}

INSTANTIATE_TEST_SUITE_P(Spaces, WorkingRgb,
                         ::testing::Values(SpaceCase{"AdobeRgb", kAdobeRgbLike}, SpaceCase{"DisplayP3", kDisplayP3Like},
                                           SpaceCase{"ProPhoto", kProPhotoLike}),
                         [](const auto& test) { return test.param.name; });

TEST(Colour, WideColoursLeaveTheUnitRange) {
  cv::Mat green(1, 1, CV_8UC3, cv::Scalar(0, 255, 0));
  const Picture there = converted(with_profile(green, make_rgb_profile(kDisplayP3Like)));
  EXPECT_LT(there.colour.at<cv::Vec3f>(0, 0)[0], -0.4F);
  EXPECT_GT(there.colour.at<cv::Vec3f>(0, 0)[1], 1.01F);
}

TEST(Colour, SrgbPixelsAreLeftAlone) {
  for (const ByteVector& icc : {srgb_profile(), make_rgb_profile(kSrgbLike), ByteVector{}}) {
    const cv::Mat pixels = make_pattern(40, 30, CV_8UC3);
    const Picture same = converted(with_profile(pixels, icc));
    EXPECT_EQ(same.space, WorkingSpace::kFile);
    EXPECT_EQ(largest_difference(same.colour, pixels), 0.0);
    EXPECT_EQ(same.metadata_warning, "");
  }
}

TEST(Colour, GrayKeepsOneChannelAndComesBack) {
  const cv::Mat pixels = random_pixels(CV_16UC1);
  const Picture there = converted(with_profile(pixels, make_gray_profile(1.0)));
  ASSERT_EQ(there.space, WorkingSpace::kExtendedSrgb);
  ASSERT_EQ(there.colour.type(), CV_32FC1);
  // Linear 21.4 % is the middle of sRGB.
  const double linear = pixels.at<std::uint16_t>(0, 0) / 65'535.0;
  const double expected = linear <= 0.0031308 ? 12.92 * linear : 1.055 * std::pow(linear, 1 / 2.4) - 0.055;
  EXPECT_NEAR(there.colour.at<float>(0, 0), expected, 1e-3);
  const auto back = to_file_space(there);
  ASSERT_TRUE(back.ok());
  EXPECT_LE(largest_difference(back->colour, pixels), 2.0);
}

TEST(Colour, AlphaFollowsAsFloatAndComesBack) {
  Picture picture = make_picture(50, 40, CV_8UC3, true);
  const cv::Mat alpha = picture.alpha.clone();
  Metadata metadata;
  metadata.icc = make_rgb_profile(kAdobeRgbLike);
  picture.metadata = std::make_shared<const Metadata>(metadata);
  const Picture there = converted(picture);
  ASSERT_EQ(there.alpha.type(), CV_32FC1);
  const auto back = to_file_space(there);
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(largest_difference(back->alpha, alpha), 0.0);
  EXPECT_EQ(largest_difference(back->colour, picture.colour), 0.0);
}

TEST(Colour, FloatsComeBackUnroundedIntoPlanesOfTheirOwn) {
  cv::Mat pixels;
  random_pixels(CV_16UC3).convertTo(pixels, CV_32F, 1.0 / 65'535);
  const Picture there = converted(with_profile(pixels, make_rgb_profile(kProPhotoLike)));
  const cv::Mat before = there.colour.clone();
  const auto back = to_file_space(there);
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->colour.type(), CV_32FC3);
  EXPECT_LE(largest_difference(back->colour, pixels), 1e-4);
  EXPECT_EQ(largest_difference(there.colour, before), 0.0);
}

TEST(Colour, ChunksOfPngCountWhereThereIsNoProfile) {
  Picture picture;
  picture.colour = random_pixels(CV_8UC3);
  Metadata metadata;
  metadata.gamma = 100'000;
  picture.metadata = std::make_shared<const Metadata>(metadata);
  Picture there = converted(picture);
  ASSERT_EQ(there.space, WorkingSpace::kExtendedSrgb);
  EXPECT_EQ(largest_difference(to_file_space(there)->colour, picture.colour), 0.0);

  metadata.gamma = 45'455;
  metadata.chromaticities = {31'270, 32'900, 64'000, 33'000, 21'000, 71'000, 15'000, 6'000};
  picture.metadata = std::make_shared<const Metadata>(metadata);
  there = converted(picture);
  ASSERT_EQ(there.space, WorkingSpace::kExtendedSrgb);
  EXPECT_EQ(largest_difference(to_file_space(there)->colour, picture.colour), 0.0);

  metadata.srgb_intent = 0;
  picture.metadata = std::make_shared<const Metadata>(metadata);
  EXPECT_EQ(converted(picture).space, WorkingSpace::kFile);

  metadata = {};
  metadata.gamma = 45'455;
  metadata.chromaticities = {31'270, 32'900, 64'000, 33'000, 30'000, 60'000, 15'000, 6'000};
  picture.metadata = std::make_shared<const Metadata>(metadata);
  EXPECT_EQ(converted(picture).space, WorkingSpace::kFile);
}

TEST(Colour, ImpossibleChunksAreAWarning) {
  Picture picture;
  picture.colour = random_pixels(CV_8UC3);
  for (const auto& [gamma, chromaticity] : {std::pair{-5, 30'000}, std::pair{0, 30'000}, std::pair{45'455, 0}}) {
    Metadata metadata;
    metadata.gamma = gamma;
    metadata.chromaticities.emplace().fill(chromaticity);
    picture.metadata = std::make_shared<const Metadata>(metadata);
    const Picture same = converted(picture);
    EXPECT_EQ(same.space, WorkingSpace::kFile);
    EXPECT_THAT(same.metadata_warning, HasSubstr("cannot be used"));
  }
}

TEST(Colour, ProfilesThatCannotBeUsedAreAWarning) {
  const ByteVector cut = [] {
    ByteVector icc = make_rgb_profile(kAdobeRgbLike);
    icc.resize(icc.size() / 2);
    return icc;
  }();
  for (const ByteVector& icc : {ByteVector(3, 0), ByteVector(4'000, 0xFF), cut, make_cmyk_profile(), make_gray_profile(2.2),
                                testing::make_icc("RGB "), testing::make_link_profile()}) {
    const cv::Mat pixels = make_pattern(20, 10, CV_8UC3);
    const Picture same = converted(with_profile(pixels, icc));
    EXPECT_EQ(same.space, WorkingSpace::kFile);
    EXPECT_EQ(largest_difference(same.colour, pixels), 0.0);
    EXPECT_THAT(same.metadata_warning, HasSubstr("the ICC profile cannot be used"));
  }
}

TEST(Colour, DamagedProfilesNeverCrash) {
  std::mt19937 random(7);
  const cv::Mat inks(2, 2, CV_8UC4, cv::Scalar::all(99));
  const cv::Mat pixels = make_pattern(4, 4, CV_8UC3);
  HeapPlanes memory;
  const ByteVector rgb = make_rgb_profile(kProPhotoLike);
  const ByteVector cmyk = make_cmyk_profile();
  for (int round = 0; round < 300; ++round) {
    ByteVector bad = round % 20 == 0 ? cmyk : rgb;
    for (int i = 0; i < 1 + round % 8; ++i) {
      const std::size_t reach = round % 2 == 0 ? std::min<std::size_t>(bad.size(), 600) : bad.size();
      bad[random() % reach] = static_cast<std::uint8_t>(random());
    }
    if (round % 20 == 0) {
      (void)cmyk_to_srgb(inks, bad, memory);
      continue;
    }
    const Picture there = converted(with_profile(pixels, bad));
    for (int y = 0; there.space == WorkingSpace::kExtendedSrgb && y < 4; ++y) {
      for (int i = 0; i < 12; ++i) EXPECT_TRUE(std::isfinite(there.colour.ptr<float>(y)[i]));
    }
    EXPECT_TRUE(to_file_space(there).ok());
  }
}

TEST(Colour, ManyThreadsMayConvert) {
  const cv::Mat pixels = random_pixels(CV_8UC3);
  const ByteVector icc = make_rgb_profile(kAdobeRgbLike);
  const cv::Mat expected = converted(with_profile(pixels, icc)).colour;
  std::atomic<int> good = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 5; ++i) {
        if (largest_difference(converted(with_profile(pixels, icc)).colour, expected) == 0.0) ++good;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, 20);
}

TEST(Colour, SrgbProfileIsTheSameEveryTime) {
  const ByteVector first = srgb_profile();
  EXPECT_GT(first.size(), 128U);
  EXPECT_EQ(first, srgb_profile());
}

TEST(Colour, PagesAreConvertedEachByTheirOwn) {
  Picture picture = with_profile(random_pixels(CV_8UC3), {});
  picture.pages.push_back(with_profile(random_pixels(CV_16UC1), make_gray_profile(1.8)));
  const Picture there = converted(picture);
  EXPECT_EQ(there.space, WorkingSpace::kFile);
  ASSERT_EQ(there.pages.size(), 1U);
  EXPECT_EQ(there.pages[0].space, WorkingSpace::kExtendedSrgb);
  const auto back = to_file_space(there);
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->pages[0].colour.type(), CV_16UC1);
}

}  // namespace
}  // namespace retouchd::image
