#include "image/samples.h"

#include <gtest/gtest.h>

#include <cmath>
#include <opencv2/core.hpp>
#include <vector>

namespace retouchd::image {
namespace {

TEST(Samples, SpreadAndScaledBackAreTheSame) {
  for (int bits = 9; bits <= 16; ++bits) {
    const int most = (1 << bits) - 1;
    std::vector<std::uint16_t> row(static_cast<std::size_t>(most) + 1);
    for (int value = 0; value <= most; ++value) row[static_cast<std::size_t>(value)] = static_cast<std::uint16_t>(value);
    cv::Mat plane(1, most + 1, CV_16UC1);
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(row.data());
    spread_samples(bytes, row.size() * 2, bits, SampleRange::kFull, 16, plane);
    cv::Mat in_place(1, most + 1, CV_16UC1, row.data());
    spread_in_place(in_place, bits);
    for (int value = 0; value <= most; ++value) {
      const std::uint16_t spread = plane.at<std::uint16_t>(0, value);
      ASSERT_EQ(spread, std::lround(value * 65'535.0 / most));
      ASSERT_EQ(std::lround(spread * static_cast<double>(most) / 65'535), value);
      ASSERT_EQ(in_place.at<std::uint16_t>(0, value), spread);
    }
    EXPECT_EQ(plane.at<std::uint16_t>(0, most), 65'535);
  }
}

TEST(Samples, LimitedRangeIsCutAtItsEnds) {
  const std::vector<std::uint8_t> row{0, 16, 17, 126, 235, 255};
  cv::Mat plane(1, 6, CV_8UC1);
  spread_samples(row.data(), row.size(), 8, SampleRange::kLimited, 8, plane);
  EXPECT_EQ(std::vector<std::uint8_t>(plane.begin<std::uint8_t>(), plane.end<std::uint8_t>()),
            (std::vector<std::uint8_t>{0, 0, 1, 128, 255, 255}));
}

TEST(Samples, EightBitsBecomeSixteen) {
  const std::vector<std::uint8_t> row{0, 1, 128, 255};
  cv::Mat plane(1, 4, CV_16UC1);
  spread_samples(row.data(), row.size(), 8, SampleRange::kFull, 16, plane);
  EXPECT_EQ(std::vector<std::uint16_t>(plane.begin<std::uint16_t>(), plane.end<std::uint16_t>()),
            (std::vector<std::uint16_t>{0, 257, 128 * 257, 65'535}));
}

TEST(Samples, ValuesThatTheirBitsCannotHoldAreTheLargest) {
  cv::Mat words(1, 1, CV_16UC1, cv::Scalar(5000));
  spread_in_place(words, 10);
  EXPECT_EQ(words.at<std::uint16_t>(0, 0), 65'535);
}

TEST(Samples, SnappingCorrectsByOne) {
  for (int value = 0; value < 4096; ++value) {
    const auto exact = static_cast<int>(std::lround(value * 65'535.0 / 4095));
    for (int error = -1; error <= 1; ++error) {
      if (exact + error < 0 || exact + error > 65'535) continue;
      cv::Mat words(1, 1, CV_16UC1, cv::Scalar(exact + error));
      snap_to_bits(words, 12);
      ASSERT_EQ(words.at<std::uint16_t>(0, 0), exact);
    }
  }
}

TEST(Samples, UnpremultiplyingDividesByAlpha) {
  cv::Mat bytes(1, 3, CV_8UC3, cv::Scalar(64, 32, 200));
  const cv::Mat alpha = (cv::Mat_<std::uint8_t>(1, 3) << 128, 0, 255);
  unpremultiply(bytes, alpha);
  EXPECT_EQ(bytes.at<cv::Vec3b>(0, 0), cv::Vec3b(128, 64, 255));
  EXPECT_EQ(bytes.at<cv::Vec3b>(0, 1), cv::Vec3b(0, 0, 0));
  EXPECT_EQ(bytes.at<cv::Vec3b>(0, 2), cv::Vec3b(64, 32, 200));
  cv::Mat words(1, 1, CV_16UC1, cv::Scalar(1000));
  unpremultiply(words, cv::Mat(1, 1, CV_16UC1, cv::Scalar(32'768)));
  EXPECT_EQ(words.at<std::uint16_t>(0, 0), 2000);
  cv::Mat floats(1, 1, CV_32FC1, cv::Scalar(0.75));
  unpremultiply(floats, cv::Mat(1, 1, CV_32FC1, cv::Scalar(0.5)));
  EXPECT_FLOAT_EQ(floats.at<float>(0, 0), 1.5F);
}

}  // namespace
}  // namespace retouchd::image
