#include "image/lost_detail.h"

#include <gtest/gtest.h>

#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>

#include "image/psnr.h"
#include "tests/image/detail_pictures.h"

namespace retouchd::image {
namespace {

using testing::add_noise;
using testing::make_scene;

const cv::Size kSize(900, 600);
const cv::Size kSmall(342, 228);

double true_loss(const cv::Mat& clean) {
  cv::Mat reduced;
  cv::Mat enlarged;
  cv::resize(clean, reduced, kSmall, 0, 0, cv::INTER_AREA);
  cv::resize(reduced, enlarged, clean.size(), 0, 0, cv::INTER_CUBIC);
  return psnr(clean, enlarged);
}

cv::Mat blurred(const cv::Mat& picture, double sigma) {
  cv::Mat result;
  cv::GaussianBlur(picture, result, {}, sigma);
  return result;
}

TEST(LostDetail, OfACleanPictureIsWhatIsReallyLost) {
  const cv::Mat scene = make_scene(kSize, 1);
  EXPECT_NEAR(measure_lost_detail(scene, kSmall).mean_db, true_loss(scene), 1.0);
}

TEST(LostDetail, DoesNotTakeNoiseForDetail) {
  const cv::Mat scene = make_scene(kSize, 1);
  for (const double sigma : {5.0, 10.0, 20.0})
    EXPECT_NEAR(measure_lost_detail(add_noise(scene, sigma, 2), kSmall).mean_db, true_loss(scene), 2.0) << sigma;
}

TEST(LostDetail, IsLessTheMoreAPictureIsBlurred) {
  const cv::Mat scene = make_scene(kSize, 3);
  for (const double sigma : {0.0, 8.0, 16.0}) {
    double before = 0;
    for (const double blur : {0.3, 0.6, 1.0, 1.5, 2.0}) {
      const double value = measure_lost_detail(add_noise(blurred(scene, blur), sigma, 4), kSmall).value();
      EXPECT_GT(value, before) << "blur " << blur << ", noise " << sigma;
      before = value;
    }
  }
}

TEST(LostDetail, ReportsMoreNoiseTheMoreThereIsAndNeverMoreLossThanTheSumOfBoth) {
  const cv::Mat scene = blurred(make_scene(kSize, 5), 0.7);
  double before = -1;
  for (const double sigma : {0.0, 3.0, 6.0, 12.0, 24.0}) {
    const cv::Mat noisy = add_noise(scene, sigma, 6);
    const LostDetail lost = measure_lost_detail(noisy, kSmall);
    EXPECT_GT(lost.noise_sigma, before);
    EXPECT_GE(lost.mean_db, true_loss(noisy) - 0.1) << sigma;  // the same with the noise counted as detail
    before = lost.noise_sigma;
  }
}

TEST(LostDetail, FallsAsTheNoiseGrowsWhereDetailIsFixed) {
  // What cannot be told from noise is counted as lost: with more noise the prediction gets more careful, never bolder.
  const cv::Mat calm = blurred(make_scene(kSize, 7), 2.0);
  double before = 100;
  for (const double sigma : {2.0, 5.0, 10.0, 20.0}) {
    const double value = measure_lost_detail(add_noise(calm, sigma, 8), kSmall).value();
    EXPECT_LT(value, before) << sigma;
    before = value;
  }
}

TEST(LostDetail, OneSharpPartCounts) {
  cv::Mat picture(1024, 1536, CV_8UC1, cv::Scalar(120));
  const double calm = measure_lost_detail(add_noise(picture, 2, 9), {584, 389}).value();
  make_scene({520, 520}, 10).copyTo(picture(cv::Rect(500, 250, 520, 520)));
  const LostDetail lost = measure_lost_detail(add_noise(picture, 2, 9), {584, 389});
  EXPECT_LT(lost.worst_db, lost.mean_db - 3);
  EXPECT_LT(lost.value(), calm - 10);
  EXPECT_DOUBLE_EQ(lost.value(), lost.worst_db + 3);
}

TEST(LostDetail, ThereIsNoneWhereTheCopyIsNotSmaller) {
  const cv::Mat scene = make_scene({300, 200}, 11);
  EXPECT_EQ(measure_lost_detail(scene, {300, 200}).value(), 100);
  EXPECT_EQ(measure_lost_detail(scene, {600, 400}).value(), 100);
  EXPECT_EQ(measure_lost_detail(cv::Mat(), {1, 1}).value(), 100);
}

TEST(LostDetail, TakesAllKindsOfPictures) {
  const cv::Mat gray = add_noise(make_scene(kSize, 12), 4, 13);
  cv::Mat colour;
  cv::cvtColor(gray, colour, cv::COLOR_GRAY2RGB);
  cv::Mat deep;
  colour.convertTo(deep, CV_16U, 257);
  const double expected = measure_lost_detail(gray, kSmall).value();
  EXPECT_NEAR(measure_lost_detail(colour, kSmall).value(), expected, 1e-9);
  EXPECT_NEAR(measure_lost_detail(deep, kSmall).value(), expected, 0.05);
  EXPECT_LE(measure_lost_detail(cv::Mat(3, 4000, CV_8UC3, cv::Scalar::all(7)), {1, 1}).value(), 100);
}

TEST(Consistency, OfAPictureWithItselfIsPerfect) {
  const cv::Mat small = make_scene(kSmall, 1);
  EXPECT_EQ(consistency_db(small, small, 0, 0.38), 100);
  EXPECT_EQ(consistency_db(small, small, 20, 0.38), 100);
}

/// As a preview is made: noise of the full picture, which going down takes most of.
class RestoredPreview : public ::testing::Test {
 protected:
  RestoredPreview() { cv::resize(add_noise(full_, 25, 3), small_, kSmall, 0, 0, cv::INTER_AREA); }

  [[nodiscard]] double consistency_of(const cv::Mat& restored) const {
    return consistency_db(small_, restored, 25, static_cast<double>(kSmall.width) / kSize.width);
  }
  [[nodiscard]] cv::Mat perfect() const {
    cv::Mat clean;
    cv::resize(full_, clean, kSmall, 0, 0, cv::INTER_AREA);
    return clean;
  }

  const cv::Mat full_ = make_scene(kSize, 2);
  cv::Mat small_;
};

TEST_F(RestoredPreview, WithoutItsNoiseAgrees) { EXPECT_GT(consistency_of(perfect()), 38); }

TEST_F(RestoredPreview, EnlargedAgreesAsWell) {
  cv::Mat enlarged;
  cv::resize(perfect(), enlarged, kSmall * 2, 0, 0, cv::INTER_CUBIC);
  EXPECT_GT(consistency_of(enlarged), 36);
}

TEST_F(RestoredPreview, WithSixteenBitsAgreesAsWell) {
  cv::Mat deep;
  perfect().convertTo(deep, CV_16U, 257);
  EXPECT_GT(consistency_of(deep), 38);
}

TEST_F(RestoredPreview, ThatFailedDoesNotAgree) {
  cv::Mat shifted;
  cv::warpAffine(perfect(), shifted, cv::Matx23d(1, 0, 12, 0, 1, 0), kSmall, cv::INTER_LINEAR, cv::BORDER_REFLECT);
  EXPECT_LT(consistency_of(shifted), 25);
  EXPECT_LT(consistency_of(cv::Mat(kSmall, CV_8UC1, cv::Scalar(128))), 25);
  EXPECT_LT(consistency_of(make_scene(kSmall, 99)), 20);
  EXPECT_LT(consistency_of(perfect() * 0.8), 28);
  EXPECT_EQ(consistency_of(cv::Mat()), 0);
}

TEST_F(RestoredPreview, WithOneFailedTileDoesNotAgree) {
  cv::Mat garbled = perfect();
  garbled(cv::Rect(128, 64, 128, 128)).setTo(0);
  EXPECT_LT(consistency_of(garbled), 25);
}

}  // namespace
}  // namespace retouchd::image
