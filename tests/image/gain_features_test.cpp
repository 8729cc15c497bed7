#include "image/gain_features.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>

#include "image/noise_estimate.h"
#include "tests/image/detail_pictures.h"

namespace retouchd::image {
namespace {

using testing::add_noise;
using testing::make_scene;

TEST(Crops, OfASmallPictureAreThePicture) {
  const cv::Mat picture = make_scene({512, 300}, 1);
  EXPECT_EQ(crops_of(picture).data, picture.data);
}

TEST(Crops, OfALargePictureAreFourTiles) {
  const cv::Mat picture = make_scene({1500, 1000}, 1);
  const cv::Mat mosaic = crops_of(picture);
  EXPECT_EQ(mosaic.size(), cv::Size(512, 512));
  EXPECT_EQ(mosaic.type(), picture.type());
  EXPECT_EQ(cv::norm(mosaic, crops_of(picture.clone()), cv::NORM_L1), 0);
}

TEST(Crops, ShowWhatHasTexture) {
  cv::Mat picture(1200, 1600, CV_8UC3, cv::Scalar::all(90));
  const cv::Rect places[] = {{300, 200, 256, 256}, {1100, 100, 256, 256}, {100, 800, 256, 256}, {1000, 700, 256, 256}};
  for (const cv::Rect& place : places) {
    cv::Mat scene;
    cv::cvtColor(make_scene(place.size(), 2), scene, cv::COLOR_GRAY2RGB);
    scene.copyTo(picture(place));
  }
  const cv::Mat mosaic = crops_of(picture);
  for (const cv::Rect& cell : {cv::Rect(0, 0, 256, 256), {256, 0, 256, 256}, {0, 256, 256, 256}, {256, 256, 256, 256}}) {
    cv::Mat same;
    cv::inRange(mosaic(cell), cv::Scalar::all(90), cv::Scalar::all(90), same);
    EXPECT_LT(cv::countNonZero(same), 256 * 256 / 2);
  }
}

TEST(Crops, OfALongPictureAreAsHighAsItIs) {
  EXPECT_EQ(crops_of(make_scene({4000, 100}, 3)).size(), cv::Size(200, 200));
  EXPECT_EQ(crops_of(cv::Mat(1, 600, CV_16UC3, cv::Scalar::all(5))).size(), cv::Size(2, 2));
  EXPECT_EQ(crops_of(make_scene({513, 300}, 3)).size(), cv::Size(512, 512));
}

GainFeatures features_of(const cv::Mat& picture, const cv::Mat& truth) {
  return measure_gain_features(picture, crops_of(picture), crops_of(truth));
}

TEST(GainFeatures, TellWhatTheNetworkTookAway) {
  const cv::Mat truth = make_scene({500, 400}, 4);
  const cv::Mat noisy = add_noise(truth, 12, 5);
  const GainFeatures features = features_of(noisy, truth);
  EXPECT_NEAR(features.residual_rms, 12, 0.5);
  EXPECT_NEAR(features.residual_grain, 1, 0.05);  // white
  EXPECT_GT(features.residual_calm, 9);
  EXPECT_NEAR(features.noise_sigma, 12, 1.5);
}

TEST(GainFeatures, OfAPictureThatTheNetworkLeftAloneAreCalm) {
  const cv::Mat truth = make_scene({500, 400}, 6);
  const GainFeatures features = features_of(truth, truth);
  EXPECT_EQ(features.residual_rms, 0);
  EXPECT_EQ(features.residual_calm, 0);
  EXPECT_EQ(features.residual_grain, 0);
}

TEST(GainFeatures, LeaveOutWhereCropsMeet) {
  const cv::Mat picture = make_scene({1200, 900}, 7);
  const cv::Mat mosaic = crops_of(picture);
  cv::Mat restored = mosaic.clone();
  restored.colRange(256 - 39, 256 + 39) = 0;
  restored.rowRange(256 - 39, 256 + 39) = 0;
  EXPECT_EQ(measure_gain_features(picture, mosaic, restored).residual_rms, 0);
}

TEST(GainFeatures, FindTheGridOfJpegWhereverItBegins) {
  const cv::Mat scene = make_scene({640, 480}, 8);
  EXPECT_LT(features_of(scene, scene).blockiness, 1.2);
  cv::Mat blocks;
  cv::resize(scene, blocks, {80, 60}, 0, 0, cv::INTER_AREA);
  cv::resize(blocks, blocks, scene.size(), 0, 0, cv::INTER_NEAREST);
  const cv::Mat mixed = 0.8 * scene + 0.2 * blocks;
  const cv::Mat moved = mixed(cv::Rect(3, 5, 600, 400)).clone();
  EXPECT_GT(features_of(mixed, mixed).blockiness, 1.3);
  EXPECT_GT(features_of(moved, moved).blockiness, 1.3);
}

TEST(GainFeatures, CountWhatIsClippedAndKeepNoiseOutOfTheDetail) {
  cv::Mat picture(400, 400, CV_8UC1, cv::Scalar(128));
  picture.rowRange(0, 100).setTo(255);
  EXPECT_NEAR(features_of(picture, picture).clipped, 0.25, 1e-9);
  const cv::Mat flat(400, 400, CV_8UC1, cv::Scalar(128));
  const GainFeatures noisy = features_of(add_noise(flat, 10, 9), flat);
  EXPECT_LT(noisy.detail, 0.2 * 20 * 100);
  EXPECT_GT(features_of(make_scene({400, 400}, 9), make_scene({400, 400}, 9)).detail, 500);
}

TEST(GainFeatures, SayTheSameOfEightAndSixteenBitsAndFloats) {
  const cv::Mat truth = make_scene({500, 400}, 10);
  const cv::Mat noisy = add_noise(truth, 6, 11);
  const GainFeatures eight = features_of(noisy, truth);
  for (const int depth : {CV_16U, CV_32F}) {
    cv::Mat deep_truth;
    cv::Mat deep_noisy;
    truth.convertTo(deep_truth, depth, 1 / in_8_bit_levels(depth));
    noisy.convertTo(deep_noisy, depth, 1 / in_8_bit_levels(depth));
    const GainFeatures deep = features_of(deep_noisy, deep_truth);
    EXPECT_NEAR(deep.residual_rms, eight.residual_rms, 1e-3);
    EXPECT_NEAR(deep.noise_sigma, eight.noise_sigma, 1e-9);
  }
}

TEST(GainFeatures, CanBeMeasuredOnAlmostNothing) {
  const cv::Mat dot(1, 1, CV_8UC3, cv::Scalar::all(3));
  EXPECT_EQ(features_of(dot, dot).residual_rms, 0);
  const cv::Mat line(1, 700, CV_8UC1, cv::Scalar(3));
  EXPECT_EQ(features_of(line, line).residual_rms, 0);
}

}  // namespace
}  // namespace retouchd::image
