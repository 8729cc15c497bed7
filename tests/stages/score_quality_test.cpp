#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "bench/support/generated_pictures.h"
#include "bench/support/ranking.h"
#include "image/lost_detail.h"
#include "stages/calibration.h"

/// What bench/cascade measures, on fewer and smaller pictures.
namespace retouchd::stages {
namespace {

class ScoreQuality : public ::testing::Test {
 protected:
  struct Measured {
    std::vector<double> values;
    std::vector<double> urgency;
    std::vector<double> sharpness;
    std::vector<bool> needs_full;
  };

  static Measured measure() {
    constexpr int kPictures = 160;
    const cv::Size size(612, 408);
    const cv::Size preview(232, 155);
    const bench::GeneratedPictures generated(11, size);
    Measured measured;
    for (int i = 0; i < kPictures; ++i) {
      const bench::GeneratedPicture picture = generated.make(i);
      const image::LostDetail lost = image::measure_lost_detail(picture.taken, preview);
      measured.values.push_back(lost.value());
      measured.urgency.push_back(-lost.value());
      measured.sharpness.push_back(lost.laplacian);
      measured.needs_full.push_back(bench::true_loss_db(picture.clean, preview) < 30);
    }
    return measured;
  }

  static const Measured& measured() {
    static const Measured once = measure();
    return once;
  }
};

TEST_F(ScoreQuality, RanksThePicturesThatLoseMostFirstAndBetterThanSharpnessDoes) {
  const double score = bench::area_under_curve(measured().urgency, measured().needs_full);
  EXPECT_GE(score, 0.93);
  EXPECT_GT(score, bench::area_under_curve(measured().sharpness, measured().needs_full) + 0.1);
}

TEST_F(ScoreQuality, EscalatesAboutTheRateOfPicturesItHasNotSeen) {
  std::vector<double> known;
  std::vector<double> held_out;
  const auto& values = measured().values;
  for (std::size_t i = 0; i < values.size(); ++i) (i % 2 == 0 ? known : held_out).push_back(values[i]);
  const auto calibration = Calibration::fit(known, 0.10);
  ASSERT_TRUE(calibration.ok());
  const auto escalated =
      std::count_if(held_out.begin(), held_out.end(), [&](double value) { return calibration->score(value) < 0.9; });
  EXPECT_NEAR(static_cast<double>(escalated), 8, 4);  // of 80; both halves are small
}

TEST(GeneratedPictures, AreTheSameForTheSameSeed) {
  const bench::GeneratedPictures first(1, {300, 200});
  const bench::GeneratedPictures again(1, {300, 200});
  const bench::GeneratedPictures other(2, {300, 200});
  EXPECT_EQ(cv::norm(first.make(5).taken, again.make(5).taken, cv::NORM_L1), 0);
  EXPECT_GT(cv::norm(first.make(5).taken, first.make(6).taken, cv::NORM_L1), 0);
  EXPECT_GT(cv::norm(first.make(5).taken, other.make(5).taken, cv::NORM_L1), 0);
}

TEST(AreaUnderCurve, IsTheShareOfPairsInTheRightOrder) {
  const std::vector<double> values{1, 2, 3, 4};
  EXPECT_DOUBLE_EQ(bench::area_under_curve(values, {false, false, true, true}), 1);
  EXPECT_DOUBLE_EQ(bench::area_under_curve(values, {true, true, false, false}), 0);
  EXPECT_DOUBLE_EQ(bench::area_under_curve(values, {false, true, false, true}), 0.75);
  EXPECT_DOUBLE_EQ(bench::area_under_curve({5, 5, 5, 5}, {false, true, false, true}), 0.5);
}

}  // namespace
}  // namespace retouchd::stages
