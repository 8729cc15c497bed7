#include "image/psnr.h"

#include <gtest/gtest.h>

#include <cmath>
#include <opencv2/core.hpp>

namespace retouchd::image {
namespace {

TEST(Psnr, OfAKnownErrorIsTheTextbookValue) {
  const cv::Mat a(10, 20, CV_8UC3, cv::Scalar::all(100));
  const cv::Mat b(10, 20, CV_8UC3, cv::Scalar::all(105));
  EXPECT_NEAR(psnr(a, b), 10.0 * std::log10(255.0 * 255.0 / 25.0), 1e-9);
}

TEST(Psnr, Of16BitUsesItsOwnPeak) {
  const cv::Mat a(10, 20, CV_16UC1, cv::Scalar::all(1000));
  const cv::Mat b(10, 20, CV_16UC1, cv::Scalar::all(1010));
  EXPECT_NEAR(psnr(a, b), 10.0 * std::log10(65'535.0 * 65'535.0 / 100.0), 1e-9);
}

TEST(Psnr, OfFloatsTakesOneForWhite) {
  const cv::Mat a(10, 20, CV_32FC3, cv::Scalar::all(0.5));
  const cv::Mat b(10, 20, CV_32FC3, cv::Scalar::all(0.25));
  EXPECT_NEAR(psnr(a, b), 10.0 * std::log10(1 / 0.0625), 1e-9);
}

TEST(Psnr, OfEqualPicturesIsInfinite) {
  const cv::Mat a(3, 3, CV_8UC1, cv::Scalar::all(7));
  EXPECT_TRUE(std::isinf(psnr(a, a)));
}

TEST(Psnr, OfPicturesThatCannotBeComparedIsNotANumber) {
  EXPECT_TRUE(std::isnan(psnr(cv::Mat::zeros(3, 3, CV_8UC1), cv::Mat::zeros(3, 4, CV_8UC1))));
  EXPECT_TRUE(std::isnan(psnr(cv::Mat::zeros(3, 3, CV_8UC1), cv::Mat::zeros(3, 3, CV_8UC3))));
  EXPECT_TRUE(std::isnan(psnr(cv::Mat::zeros(3, 3, CV_32SC1), cv::Mat::zeros(3, 3, CV_32SC1))));
  EXPECT_TRUE(std::isnan(psnr({}, {})));
}

}  // namespace
}  // namespace retouchd::image
