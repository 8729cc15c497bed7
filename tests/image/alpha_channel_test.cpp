#include "image/alpha_channel.h"

#include <gtest/gtest.h>

#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>

namespace retouchd::image {
namespace {

double full_of(int depth) { return depth == CV_8U ? 255 : depth == CV_16U ? 65535 : 1; }

/// A disc of `value` (of 0..1), transparent and black around it.
struct Disc {
  Disc(cv::Size size, int type, double value) {
    const int depth = CV_MAT_DEPTH(type);
    cv::Mat shape = cv::Mat::zeros(size, CV_8UC1);
    cv::circle(shape, cv::Point(size.width / 2, size.height / 2), 30, cv::Scalar(255), cv::FILLED);
    colour = cv::Mat::zeros(size, type);
    colour.setTo(cv::Scalar::all(value * full_of(depth)), shape);
    shape.convertTo(alpha, depth, full_of(depth) / 255);
  }
  cv::Mat colour;
  cv::Mat alpha;
};

class AlphaChannel : public testing::TestWithParam<int> {};

TEST_P(AlphaChannel, WhatIsHiddenGetsTheColourOfWhatIsVisible) {
  const Disc disc({233, 150}, GetParam(), 0.75);
  const cv::Mat filled = fill_hidden_colours(disc.colour, disc.alpha);
  ASSERT_EQ(filled.type(), disc.colour.type());
  const cv::Mat wanted(disc.colour.size(), disc.colour.type(), cv::Scalar::all(0.75 * full_of(disc.colour.depth())));
  EXPECT_LE(cv::norm(filled, wanted, cv::NORM_INF), disc.colour.depth() == CV_32F ? 1e-5 : 1.0);
}

TEST_P(AlphaChannel, VisiblePixelsStayAndHiddenOnesCanBePutBack) {
  Disc disc({150, 170}, GetParam(), 0.5);
  cv::RNG(3).fill(disc.colour, cv::RNG::UNIFORM, 0, full_of(disc.colour.depth()));
  cv::Mat filled = fill_hidden_colours(disc.colour, disc.alpha);
  cv::Mat difference;
  cv::absdiff(filled, disc.colour, difference);
  difference.setTo(cv::Scalar::all(0), disc.alpha == 0);
  EXPECT_EQ(cv::norm(difference, cv::NORM_INF), 0) << "visible";
  EXPECT_GT(cv::norm(filled, disc.colour, cv::NORM_INF), 0) << "hidden";
  put_back_hidden_colours(disc.colour, disc.alpha, filled);
  EXPECT_EQ(cv::norm(filled, disc.colour, cv::NORM_INF), 0);
}

TEST_P(AlphaChannel, ABlurLeavesNoDarkFringe) {
  const Disc disc({160, 160}, GetParam(), 1.0);
  const double full = full_of(disc.colour.depth());
  const auto darkest_visible = [&](const cv::Mat& picture) {
    cv::Mat blurred;
    cv::blur(picture, blurred, {9, 9});
    cv::Mat one;
    cv::extractChannel(blurred, one, 0);
    double least = 0;
    cv::minMaxLoc(one, &least, nullptr, nullptr, nullptr, disc.alpha > 0);
    return least / full;
  };
  EXPECT_LT(darkest_visible(disc.colour), 0.7);
  EXPECT_GT(darkest_visible(fill_hidden_colours(disc.colour, disc.alpha)), 0.99);
}

INSTANTIATE_TEST_SUITE_P(Types, AlphaChannel, testing::Values(CV_8UC3, CV_8UC1, CV_16UC3, CV_32FC3, CV_32FC1));

TEST(HiddenColours, NearThingsKeepTheirColours) {
  cv::Mat colour(64, 128, CV_8UC3, cv::Scalar::all(0));
  cv::Mat alpha = cv::Mat::zeros(colour.size(), CV_8UC1);
  colour.colRange(0, 20).setTo(cv::Scalar(200, 0, 0));
  colour.colRange(108, 128).setTo(cv::Scalar(0, 0, 200));
  alpha.colRange(0, 20).setTo(255);
  alpha.colRange(108, 128).setTo(255);
  const cv::Mat filled = fill_hidden_colours(colour, alpha);
  EXPECT_GT(filled.at<cv::Vec3b>(30, 22)[0], 180);
  EXPECT_LT(filled.at<cv::Vec3b>(30, 22)[2], 20);
  EXPECT_GT(filled.at<cv::Vec3b>(30, 105)[2], 180);
}

TEST(HiddenColours, AreNotCopiedWhereNothingOrAllIsHidden) {
  const cv::Mat colour(8, 8, CV_8UC3, cv::Scalar::all(7));
  EXPECT_EQ(fill_hidden_colours(colour, cv::Mat()).data, colour.data);
  EXPECT_EQ(fill_hidden_colours(colour, cv::Mat(8, 8, CV_8UC1, cv::Scalar(1))).data, colour.data);
  EXPECT_EQ(fill_hidden_colours(colour, cv::Mat(8, 8, CV_8UC1, cv::Scalar(0))).data, colour.data);
}

TEST(HiddenColours, AreFilledInPicturesOfOnePixelASide) {
  cv::Mat colour(1, 9, CV_8UC1, cv::Scalar(0));
  cv::Mat alpha = cv::Mat::zeros(1, 9, CV_8UC1);
  colour.at<std::uint8_t>(0, 8) = 99;
  alpha.at<std::uint8_t>(0, 8) = 3;
  EXPECT_EQ(fill_hidden_colours(colour, alpha).at<std::uint8_t>(0, 0), 99);
}

TEST(EnlargedAlpha, StaysOpaqueAndTransparentWhereItWas) {
  Disc disc({100, 100}, CV_16UC1, 1.0);
  cv::Mat enlarged;
  cv::resize(disc.alpha, enlarged, {}, 2, 2, cv::INTER_CUBIC);
  cv::Mat noise(enlarged.size(), CV_32F);
  cv::RNG(5).fill(noise, cv::RNG::NORMAL, 0, 900);
  cv::add(enlarged, noise, enlarged, cv::noArray(), CV_16U);
  keep_within_neighbours(disc.alpha, enlarged);
  EXPECT_EQ(enlarged.at<std::uint16_t>(100, 100), 65535);
  EXPECT_EQ(enlarged.at<std::uint16_t>(3, 3), 0);
  EXPECT_FALSE(is_even(enlarged));
  EXPECT_TRUE(is_even(enlarged(cv::Rect(80, 80, 40, 40))));
}

}  // namespace
}  // namespace retouchd::image
