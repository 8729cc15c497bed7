#include "image/resize.h"

#include <gtest/gtest.h>

#include "tests/image/sample_pictures.h"

namespace retouchd::image {
namespace {

TEST(ShrinkTo, NeverExceedsTheWantedAreaAndKeepsTheAspect) {
  const cv::Mat picture = testing::make_pattern(900, 600, CV_8UC3);
  const cv::Mat small = shrink_to(picture, 0.06);
  EXPECT_LE(small.cols * small.rows, 60'000);
  EXPECT_EQ(small.cols, 300);
  EXPECT_EQ(small.rows, 200);
}

TEST(ShrinkTo, AveragesAreas) {
  cv::Mat picture(2, 2, CV_16UC1);
  picture.at<std::uint16_t>(0, 0) = 0;
  picture.at<std::uint16_t>(0, 1) = 100;
  picture.at<std::uint16_t>(1, 0) = 200;
  picture.at<std::uint16_t>(1, 1) = 300;
  const cv::Mat small = shrink_to(picture, 1e-6);
  ASSERT_EQ(small.size(), cv::Size(1, 1));
  EXPECT_EQ(small.at<std::uint16_t>(0, 0), 150);
}

TEST(ShrinkTo, LeavesASmallPictureWhereItIs) {
  const cv::Mat picture = testing::make_pattern(100, 100, CV_8UC1);
  EXPECT_EQ(shrink_to(picture, 0.01).data, picture.data);
}

TEST(ShrinkTo, KeepsAtLeastOnePixelASide) {
  const cv::Mat small = shrink_to(testing::make_pattern(5000, 2, CV_8UC1), 0.0001);
  EXPECT_EQ(small.rows, 1);
  EXPECT_GE(small.cols, 1);
}

}  // namespace
}  // namespace retouchd::image
