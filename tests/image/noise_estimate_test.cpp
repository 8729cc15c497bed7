#include "image/noise_estimate.h"

#include <gtest/gtest.h>

#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>

#include "tests/image/detail_pictures.h"

namespace retouchd::image {
namespace {

using testing::add_noise;
using testing::make_scene;

TEST(NoiseEstimate, FindsTheNoiseOfAFlatPicture) {
  for (const double sigma : {2.0, 5.0, 10.0, 20.0}) {
    const cv::Mat flat(400, 500, CV_8UC1, cv::Scalar(128));
    EXPECT_NEAR(estimate_noise(add_noise(flat, sigma, 1)), sigma, 0.08 * sigma + 0.1) << sigma;
  }
}

TEST(NoiseEstimate, HardlyMindsEdgesAndTexture) {
  const cv::Mat scene = make_scene({640, 480}, 3);
  EXPECT_LT(estimate_noise(scene), 2.0);
  for (const double sigma : {5.0, 15.0, 25.0})
    EXPECT_NEAR(estimate_noise(add_noise(scene, sigma, 2)), sigma, 0.15 * sigma + 0.5) << sigma;
}

TEST(NoiseEstimate, SaysTheSameOfEightAndSixteenBitsAndFloats) {
  const cv::Mat noisy = add_noise(make_scene({400, 300}, 4), 12, 5);
  cv::Mat deep;
  noisy.convertTo(deep, CV_16U, 257);
  EXPECT_DOUBLE_EQ(estimate_noise(deep), estimate_noise(noisy));
  noisy.convertTo(deep, CV_32F, 1.0 / 255);
  EXPECT_DOUBLE_EQ(estimate_noise(deep), estimate_noise(noisy));
}

TEST(NoiseEstimate, TakesTheBrightnessOfDeepColoursAsThatOfShallowOnes) {
  cv::Mat colour(333, 201, CV_8UC3);
  cv::RNG(8).fill(colour, cv::RNG::UNIFORM, 0, 256);
  const cv::Mat luma = luma_of(colour);
  for (const int depth : {CV_16U, CV_32F}) {
    cv::Mat deep;
    colour.convertTo(deep, depth, 1 / in_8_bit_levels(depth));
    EXPECT_LE(cv::norm(luma_of(deep), luma, cv::NORM_INF), 1) << depth;
  }
}

TEST(NoiseEstimate, OfColourIsThatOfItsBrightness) {
  cv::Mat colour(400, 400, CV_8UC3, cv::Scalar(120, 130, 140));
  cv::Mat noise(colour.size(), CV_16SC3);
  cv::RNG luck(6);
  luck.fill(noise, cv::RNG::NORMAL, 0.0, 20.0);
  cv::add(colour, noise, colour, cv::noArray(), CV_8U);
  EXPECT_NEAR(estimate_noise(colour), 0.668 * 20, 1.2);  // sqrt(0.299^2 + 0.587^2 + 0.114^2)
}

TEST(NoiseEstimate, LooksAwayFromWhatIsBlackOrWhite) {
  cv::Mat half(400, 400, CV_8UC1, cv::Scalar(100));
  half = add_noise(half, 10, 7);
  half.rowRange(0, 200).setTo(255);
  EXPECT_NEAR(estimate_noise(half), 10, 1);
}

TEST(NoiseEstimate, KnowsThatLightBringsNoise) {
  cv::Mat picture(320, 640, CV_8UC1, cv::Scalar(40));
  picture.colRange(320, 640).setTo(200);
  add_noise(picture.colRange(0, 320), 3, 8).copyTo(picture.colRange(0, 320));
  add_noise(picture.colRange(320, 640), 12, 9).copyTo(picture.colRange(320, 640));
  const cv::Mat noise = measure_fine_structure(picture).noise_variance;
  EXPECT_NEAR(cv::mean(noise.colRange(2, 37))[0], 9, 2);
  EXPECT_NEAR(cv::mean(noise.colRange(42, 77))[0], 144, 25);
}

TEST(NoiseEstimate, OfAlmostNothingIsNothing) {
  EXPECT_EQ(estimate_noise(cv::Mat(5, 300, CV_8UC1, cv::Scalar(10))), 0);
  EXPECT_EQ(estimate_noise(cv::Mat(300, 5, CV_8UC3, cv::Scalar::all(10))), 0);
  EXPECT_EQ(estimate_noise(cv::Mat(100, 100, CV_8UC1, cv::Scalar(255))), 0);
}

TEST(FineStructure, ItsLaplacianIsThatOfOpenCv) {
  const cv::Mat scene = make_scene({203, 101}, 10);
  cv::Mat expected;
  cv::Laplacian(scene, expected, CV_64F);
  cv::Scalar mean;
  cv::Scalar deviation;
  cv::meanStdDev(expected(cv::Rect(1, 1, 201, 99)), mean, deviation);
  EXPECT_NEAR(measure_fine_structure(scene).laplacian, deviation[0] * deviation[0], 1e-6 * deviation[0] * deviation[0]);
}

}  // namespace
}  // namespace retouchd::image
