#include "stages/seam_meter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <opencv2/imgproc.hpp>

#include "networks.h"

namespace retouchd::stages {
namespace {

const cv::Size kSize(1200, 900);

TilePlan cut(std::optional<int> receptive_field = 39, int scale = 1, cv::Size size = kSize) {
  return plan_tiles(size, network_on_paper(receptive_field, scale), {256, 192});
}

/// Waves of 70 to 110 pixels and of about 40 levels.
cv::Mat smooth_picture(cv::Size size = kSize, int type = CV_8UC3) {
  cv::Mat picture(size, CV_32FC3);
  for (int y = 0; y < size.height; ++y) {
    for (int x = 0; x < size.width; ++x) {
      const float wave = std::sin(static_cast<float>(x) / 17.0F + static_cast<float>(y) / 13.0F);
      const float other = std::cos(static_cast<float>(x) / 11.0F - static_cast<float>(y) / 15.0F);
      picture.at<cv::Vec3f>(y, x) = {120 + 20 * wave, 110 + 20 * other, 100 + 10 * (wave + other)};
    }
  }
  cv::Mat result;
  picture.convertTo(result, type, CV_MAT_DEPTH(type) == CV_16U ? 257.0 : 1.0);
  return result;
}

cv::Mat noise_picture(double sigma, int type = CV_8UC3) {
  cv::Mat picture(kSize, type);
  cv::RNG(7).fill(picture, cv::RNG::NORMAL, 128, sigma);
  return picture;
}

/// Flat regions with hard edges, somewhat soft noise over them: like a photograph in its statistics.
cv::Mat scene(std::uint64_t seed) {
  cv::Mat picture(kSize, CV_8UC3, cv::Scalar(90, 110, 130));
  cv::RNG random(100 + seed);
  for (int i = 0; i < 120; ++i) {
    const cv::Scalar colour(random.uniform(20, 230), random.uniform(20, 230), random.uniform(20, 230));
    const cv::Point at(random.uniform(0, kSize.width), random.uniform(0, kSize.height));
    if (i % 2 == 0) {
      cv::rectangle(picture, {at.x, at.y, random.uniform(20, 300), random.uniform(20, 300)}, colour, cv::FILLED);
    } else {
      cv::circle(picture, at, random.uniform(10, 150), colour, cv::FILLED);
    }
  }
  cv::Mat noise(kSize, CV_16SC3);
  random.fill(noise, cv::RNG::NORMAL, 0, 12);
  cv::GaussianBlur(noise, noise, {}, 1.0);
  cv::add(picture, noise, picture, cv::noArray(), CV_8U);
  cv::GaussianBlur(picture, picture, {}, 0.7);
  return picture;
}

/// Every second tile is brighter by `offset`, as a network would make it that weighs everything a tile shows.
cv::Mat with_offset(const cv::Mat& picture, const TilePlan& plan, double offset, int scale = 1) {
  cv::Mat result = picture.clone();
  for (int i = 0; i < plan.count(); ++i) {
    const auto column = static_cast<std::size_t>(i) % plan.x.windows.size();
    if ((column + static_cast<std::size_t>(i) / plan.x.windows.size()) % 2 == 0) continue;
    const cv::Rect core = plan.at(i).core;
    cv::Mat part = result({core.x * scale, core.y * scale, core.width * scale, core.height * scale});
    cv::add(part, cv::Scalar::all(offset), part);
  }
  return result;
}

TEST(SeamMeter, PicturesWithoutSeamsGiveOne) {
  const TilePlan plan = cut();
  EXPECT_NEAR(seam_ratio(smooth_picture(), plan, 1), 1.0, 0.03);
  for (std::uint64_t seed = 0; seed < 10; ++seed) EXPECT_NEAR(seam_ratio(scene(seed), plan, 1), 1.0, 0.07) << "seed " << seed;
  for (const double sigma : {1.0, 5.0, 25.0}) EXPECT_NEAR(seam_ratio(noise_picture(sigma), plan, 1), 1.0, 0.03) << sigma;
  EXPECT_NEAR(seam_ratio(noise_picture(20, CV_8UC1), plan, 1), 1.0, 0.03);
}

TEST(SeamMeter, FlatPicturesAndSingleTilesGiveOne) {
  EXPECT_EQ(seam_ratio(cv::Mat(kSize, CV_8UC3, cv::Scalar::all(7)), cut(), 1), 1.0);
  EXPECT_EQ(seam_ratio(cv::Mat(kSize, CV_16UC1, cv::Scalar(7)), cut(std::nullopt), 1), 1.0);
  const cv::Size small(200, 150);
  EXPECT_EQ(seam_ratio(scene(1)(cv::Rect({0, 0}, small)), cut(39, 1, small), 1), 1.0);
}

TEST(SeamMeter, AnOffsetBetweenTilesShowsTheMoreTheLargerItIs) {
  const TilePlan plan = cut();
  for (const cv::Mat& picture : {smooth_picture(), scene(1), noise_picture(5), cv::Mat(kSize, CV_8UC1, cv::Scalar(99))}) {
    double last = seam_ratio(picture, plan, 1);
    for (const double offset : {2.0, 4.0, 8.0, 16.0}) {
      const double ratio = seam_ratio(with_offset(picture, plan, offset), plan, 1);
      EXPECT_GT(ratio, last) << "offset " << offset;
      EXPECT_GT(ratio, kVisibleSeam);
      last = ratio;
    }
  }
}

TEST(SeamMeter, BordersAlongOneAxisAreEnough) {
  for (const cv::Size size : {cv::Size(1200, 100), cv::Size(100, 1200)}) {
    const TilePlan plan = cut(39, 1, size);
    ASSERT_EQ(std::min(plan.x.windows.size(), plan.y.windows.size()), 1U);
    const cv::Mat picture = smooth_picture(size);
    EXPECT_NEAR(seam_ratio(picture, plan, 1), 1.0, 0.05);
    EXPECT_GT(seam_ratio(with_offset(picture, plan, 4), plan, 1), 1.5);
  }
}

TEST(SeamMeter, SixteenBitsAndFloatsAreJudgedLikeEight) {
  const TilePlan plan = cut();
  for (const double offset : {0.0, 4.0}) {
    const double eight = seam_ratio(with_offset(smooth_picture(), plan, offset), plan, 1);
    const double sixteen = seam_ratio(with_offset(smooth_picture(kSize, CV_16UC3), plan, 257 * offset), plan, 1);
    EXPECT_NEAR(eight, sixteen, 0.05) << offset;
    cv::Mat floats;
    with_offset(smooth_picture(kSize, CV_16UC3), plan, 257 * offset).convertTo(floats, CV_32F, 1.0 / 65535);
    EXPECT_NEAR(seam_ratio(floats, plan, 1), sixteen, 1e-3) << offset;
  }
}

TEST(SeamMeter, LooksAtThePlacesOfTheEnlargedPicture) {
  const TilePlan plan = cut(39, 2);
  const cv::Mat picture = smooth_picture(kSize * 2);
  EXPECT_NEAR(seam_ratio(picture, plan, 2), 1.0, 0.03);
  EXPECT_GT(seam_ratio(with_offset(picture, plan, 4, 2), plan, 2), 1.5);
}

TEST(SeamMeter, BlocksOfAJpegAreNoSeams) {
  // Every block of 8x8 pixels is brighter or darker than its neighbours; cores begin at block borders.
  const TilePlan plan = cut();
  cv::Mat picture = smooth_picture();
  cv::RNG random(3);
  for (int y = 0; y < kSize.height; y += 8) {
    for (int x = 0; x < kSize.width; x += 8) {
      cv::Mat block = picture(cv::Rect(x, y, 8, 8) & cv::Rect({0, 0}, kSize));
      cv::add(block, cv::Scalar::all(random.uniform(-4, 5)), block);
    }
  }
  EXPECT_NEAR(seam_ratio(picture, plan, 1), 1.0, 0.05);
}

TEST(SeamMeter, BlendedTilesAreJudgedAtTheirRampsToo) {
  const TilePlan plan = cut(std::nullopt);
  ASSERT_TRUE(plan.is_feathered);
  const cv::Mat picture = scene(2);
  EXPECT_NEAR(seam_ratio(picture, plan, 1), 1.0, 0.07);
  for (const int way : {-1, 0, 1}) {
    cv::Mat torn = picture.clone();
    for (std::size_t i = 1; i < plan.x.windows.size(); i += 2) {
      const TileAxis::Window& window = plan.x.windows[i];
      cv::Mat part = torn.colRange(window.begin + way * window.ramp_begin, window.end + way * window.ramp_end);
      cv::add(part, cv::Scalar::all(6), part);
    }
    EXPECT_GT(seam_ratio(torn, plan, 1), kVisibleSeam) << way;
  }
}

/// What feathering is for.
TEST(SeamMeter, BlendingHidesAnOffset) {
  const TilePlan plan = cut(std::nullopt);
  const cv::Mat picture = scene(2);
  const cv::Mat hard = with_offset(picture, plan, 6);
  cv::Mat blended = picture.clone();
  for (int y = 0; y < kSize.height; ++y) {
    for (int x = 0; x < kSize.width; ++x) {
      double share = 0;
      for (int i = 0; i < plan.count(); ++i) {
        const auto column = static_cast<std::size_t>(i) % plan.x.windows.size();
        if ((column + static_cast<std::size_t>(i) / plan.x.windows.size()) % 2 == 1)
          share += static_cast<double>(feather_weight(plan.across(i), x)) * static_cast<double>(feather_weight(plan.down(i), y));
      }
      auto& pixel = blended.at<cv::Vec3b>(y, x);
      for (int c = 0; c < 3; ++c) pixel[c] = cv::saturate_cast<std::uint8_t>(pixel[c] + 6 * share);
    }
  }
  EXPECT_GT(seam_ratio(hard, plan, 1), 1.5);
  EXPECT_LT(seam_ratio(blended, plan, 1), kVisibleSeam);
}

}  // namespace
}  // namespace retouchd::stages
