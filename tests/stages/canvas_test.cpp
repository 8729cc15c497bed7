#include "stages/canvas.h"

#include <gtest/gtest.h>

#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>

#include "networks.h"

namespace retouchd::stages {
namespace {

cv::Mat random_picture(cv::Size size, int type) {
  cv::Mat picture(size, type);
  cv::RNG generator(11);
  generator.fill(picture, cv::RNG::UNIFORM, 0, CV_MAT_DEPTH(type) == CV_16U ? 65536 : 256);
  return picture;
}

/// What a network that changes nothing makes of a tile: numbers where tiles are blended, else pixels.
cv::Mat unchanged(const cv::Mat& picture, const TilePlan& plan, int index, int scale) {
  cv::Mat restored = picture(plan.at(index).window).clone();
  if (plan.is_feathered) restored.convertTo(restored, CV_32F, picture.depth() == CV_16U ? 1.0 / 65535 : 1.0 / 255);
  if (scale > 1) cv::resize(restored, restored, {}, scale, scale, cv::INTER_NEAREST);
  return restored;
}

struct Case {
  int type;
  bool feathered;
  int scale;
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << "type " << c.type << (c.feathered ? ", feathered" : ", cropped") << ", scale " << c.scale;
}

class CanvasRoundTrip : public testing::TestWithParam<Case> {};

TEST_P(CanvasRoundTrip, TilesOfAnUnchangedPicturePutItTogetherAgain) {
  const auto [type, feathered, scale] = GetParam();
  const cv::Mat picture = random_picture({701, 333}, type);
  const TilePlan plan =
      plan_tiles(picture.size(), network_on_paper(feathered ? std::nullopt : std::optional(39), scale), {192, 192});
  Canvas canvas(plan, type, scale);
  for (int i = plan.count() - 1; i >= 0; --i) canvas.place(i, unchanged(picture, plan, i, scale));
  const cv::Mat result = canvas.take();
  cv::Mat wanted = picture;
  if (scale > 1) cv::resize(picture, wanted, {}, scale, scale, cv::INTER_NEAREST);
  ASSERT_EQ(result.type(), type);
  ASSERT_EQ(result.size(), wanted.size());
  EXPECT_EQ(cv::norm(result, wanted, cv::NORM_INF), 0.0);
}

INSTANTIATE_TEST_SUITE_P(AllKinds, CanvasRoundTrip,
                         testing::Values(Case{CV_8UC3, false, 1}, Case{CV_8UC1, false, 1}, Case{CV_16UC3, false, 1},
                                         Case{CV_16UC1, false, 2}, Case{CV_8UC3, true, 1}, Case{CV_16UC1, true, 1},
                                         Case{CV_8UC3, true, 2}));

TEST(Canvas, BlendedValuesOutsideTheRangeAreClamped) {
  const TilePlan plan = plan_tiles({16, 16}, network_on_paper(std::nullopt), {128, 128});
  Canvas canvas(plan, CV_8UC1, 1);
  cv::Mat restored(16, 16, CV_32F, cv::Scalar(1.5));
  restored(cv::Rect(0, 0, 8, 16)).setTo(-0.2);
  canvas.place(0, restored);
  const cv::Mat result = canvas.take();
  EXPECT_EQ(result.at<std::uint8_t>(0, 0), 0);
  EXPECT_EQ(result.at<std::uint8_t>(0, 15), 255);
}

TEST(Canvas, FloatsAreKeptAsTheyAre) {
  cv::Mat picture(333, 701, CV_32FC3);
  cv::RNG(12).fill(picture, cv::RNG::UNIFORM, -0.5, 3.0);
  for (const bool feathered : {false, true}) {
    const TilePlan plan = plan_tiles(picture.size(), network_on_paper(feathered ? std::nullopt : std::optional(39)), {192, 192});
    Canvas canvas(plan, CV_32FC3, 1);
    for (int i = 0; i < plan.count(); ++i) canvas.place(i, picture(plan.at(i).window));
    EXPECT_LE(cv::norm(canvas.take(), picture, cv::NORM_INF), feathered ? 1e-6 : 0.0);
  }
}

TEST(Canvas, FeatherHidesAStepBetweenTiles) {
  const TilePlan plan = plan_tiles({320, 64}, network_on_paper(std::nullopt), {192, 192});
  ASSERT_EQ(plan.count(), 2);
  Canvas canvas(plan, CV_8UC1, 1);
  for (int i = 0; i < 2; ++i) canvas.place(i, cv::Mat(plan.at(i).window.size(), CV_32F, cv::Scalar(i == 0 ? 0.4 : 0.6)));
  const cv::Mat result = canvas.take();
  for (int x = 1; x < result.cols; ++x)
    EXPECT_LE(std::abs(result.at<std::uint8_t>(0, x) - result.at<std::uint8_t>(0, x - 1)), 3) << x;
  EXPECT_EQ(result.at<std::uint8_t>(0, 0), 102);
  EXPECT_EQ(result.at<std::uint8_t>(0, 319), 153);
}

TEST(Canvas, BlendedSumsDoNotDependOnTheOrderOfTiles) {
  const TilePlan plan = plan_tiles({700, 600}, network_on_paper(std::nullopt), {192, 192});
  std::vector<cv::Mat> restored;
  for (int i = 0; i < plan.count(); ++i) {
    restored.emplace_back(plan.at(i).window.size(), CV_32FC3);
    cv::RNG(static_cast<std::uint64_t>(i) + 1).fill(restored.back(), cv::RNG::UNIFORM, -0.1, 1.1);
  }
  Canvas forwards(plan, CV_32FC3, 1);
  Canvas backwards(plan, CV_32FC3, 1);
  for (int i = 0; i < plan.count(); ++i) {
    forwards.place(i, restored[static_cast<std::size_t>(i)]);
    backwards.place(plan.count() - 1 - i, restored[static_cast<std::size_t>(plan.count() - 1 - i)]);
  }
  EXPECT_EQ(cv::norm(forwards.take(), backwards.take(), cv::NORM_INF), 0.0);
}

TEST(Canvas, WhatItKeepsOfATileCanBePlacedLater) {
  const cv::Mat picture = random_picture({701, 333}, CV_16UC3);
  for (const bool feathered : {false, true}) {
    const TilePlan plan = plan_tiles(picture.size(), network_on_paper(feathered ? std::nullopt : std::optional(39)), {192, 192});
    Canvas first(plan, CV_16UC3, 1);
    Canvas second(plan, CV_16UC3, 1);
    for (int i = 0; i < plan.count(); ++i) {
      const cv::Mat kept = first.kept(i, unchanged(picture, plan, i, 1)).clone();
      EXPECT_EQ(kept.size(), second.kept_size(i));
      second.place_kept(i, kept);
    }
    EXPECT_EQ(cv::norm(second.take(), picture, cv::NORM_INF), 0.0) << feathered;
  }
}

TEST(Canvas, CanHoldNumbersForATileThatIsPutTogetherFromParts) {
  cv::Mat picture;
  random_picture({300, 200}, CV_8UC3).convertTo(picture, CV_32F, 1.0 / 255);
  const TilePlan plan = plan_tiles(picture.size(), network_on_paper(39), {192, 192});
  Canvas canvas(plan, CV_32FC3, 1);
  for (int i = 0; i < plan.count(); ++i) canvas.place(i, picture(plan.at(i).window));
  EXPECT_EQ(cv::norm(canvas.take(), picture, cv::NORM_INF), 0.0);
}

}  // namespace
}  // namespace retouchd::stages
