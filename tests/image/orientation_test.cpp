#include "image/orientation.h"

#include <gtest/gtest.h>

#include "image/codec.h"
#include "tests/image/sample_pictures.h"

namespace retouchd::image {
namespace {

/// The slow obvious version: where EXIF says that each stored pixel belongs.
cv::Mat upright_by_definition(const cv::Mat& stored, int orientation) {
  const int w = stored.cols;
  const int h = stored.rows;
  cv::Mat turned(swaps_sides(orientation) ? cv::Size(h, w) : cv::Size(w, h), stored.type());
  for (int y = 0; y < h; ++y) {
    for (int x = 0; x < w; ++x) {
      const cv::Point to = [&]() -> cv::Point {
        switch (orientation) {
          case 2:
            return {w - 1 - x, y};  // row 0 is the top, column 0 the right side
          case 3:
            return {w - 1 - x, h - 1 - y};  // bottom, right
          case 4:
            return {x, h - 1 - y};  // bottom, left
          case 5:
            return {y, x};  // left, top
          case 6:
            return {h - 1 - y, x};  // right, top
          case 7:
            return {h - 1 - y, w - 1 - x};  // right, bottom
          case 8:
            return {y, w - 1 - x};  // left, bottom
          default:
            return {x, y};
        }
      }();
      turned.at<cv::Vec3b>(to) = stored.at<cv::Vec3b>(y, x);
    }
  }
  return turned;
}

class Orientation : public ::testing::TestWithParam<int> {};

TEST_P(Orientation, IsAppliedAsExifDefinesIt) {
  const cv::Mat stored = testing::make_pattern(13, 7, CV_8UC3);
  EXPECT_EQ(testing::largest_difference(upright(stored, GetParam()), upright_by_definition(stored, GetParam())), 0.0);
}

INSTANTIATE_TEST_SUITE_P(All, Orientation, ::testing::Range(0, 10));

TEST(Upright, WithoutATurnCopiesNothing) {
  const cv::Mat stored = testing::make_pattern(13, 7, CV_8UC3);
  EXPECT_EQ(upright(stored, 1).data, stored.data);
}

}  // namespace
}  // namespace retouchd::image
