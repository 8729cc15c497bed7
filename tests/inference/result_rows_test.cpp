#include "inference/result_rows.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <opencv2/core.hpp>
#include <vector>

namespace retouchd::inference {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<float> numbers(std::size_t count) {
  std::vector<float> values(count);
  cv::RNG random(9);
  for (float& value : values) value = random.uniform(-0.3F, 1.4F);
  return values;
}

TEST(ResultRows, ClampAndRoundToFullScale) {
  for (std::size_t count = 1; count < 70; ++count) {
    const std::vector<float> from = numbers(count);
    std::vector<std::uint8_t> bytes(count + 1, 77);
    std::vector<std::uint16_t> words(count + 1, 777);
    ResultRows(1.0F, CV_8U).convert(from.data(), count, bytes.data());
    ResultRows(1.0F, CV_16U).convert(from.data(), count, reinterpret_cast<uchar*>(words.data()));
    for (std::size_t i = 0; i < count; ++i) {
      const double clamped = std::clamp(static_cast<double>(from[i]), 0.0, 1.0);
      EXPECT_EQ(bytes[i], std::lround(clamped * 255)) << from[i];
      EXPECT_NEAR(words[i], clamped * 65535, 0.51) << from[i];
    }
    EXPECT_EQ(bytes[count], 77) << "nothing is written beyond the row";
    EXPECT_EQ(words[count], 777);
  }
}

TEST(ResultRows, EndsOfTheScaleAreExact) {
  const std::vector<float> from{0.0F, 1.0F, -1e30F, 1e30F, -kInfinity, kInfinity, kNan};
  std::vector<std::uint8_t> bytes(from.size());
  std::vector<std::uint16_t> words(from.size());
  ResultRows(1.0F, CV_8U).convert(from.data(), from.size(), bytes.data());
  ResultRows(1.0F, CV_16U).convert(from.data(), from.size(), reinterpret_cast<uchar*>(words.data()));
  EXPECT_EQ(bytes, (std::vector<std::uint8_t>{0, 255, 0, 255, 0, 255, 0}));
  EXPECT_EQ(words, (std::vector<std::uint16_t>{0, 65535, 0, 65535, 0, 65535, 0}));
}

TEST(ResultRows, GatherTheExtremesOfAllRowsBeforeClamping) {
  std::vector<float> first = numbers(100);
  std::vector<float> second = numbers(37);
  first[99] = 500.0F;
  second[0] = -750.0F;
  std::vector<float> out(100);
  ResultRows rows(1.0F / 250.0F, CV_32F);
  rows.convert(first.data(), first.size(), reinterpret_cast<uchar*>(out.data()));
  EXPECT_FLOAT_EQ(out[99], 2.0F);
  rows.convert(second.data(), second.size(), reinterpret_cast<uchar*>(out.data()));
  EXPECT_FLOAT_EQ(rows.values().most, 2.0F);
  EXPECT_FLOAT_EQ(rows.values().least, -3.0F);
  EXPECT_TRUE(rows.values().is_finite);
}

TEST(ResultRows, OneNumberThatIsNoneIsFoundWhereverItIs) {
  for (const float bad : {kNan, -kNan, kInfinity, -kInfinity}) {
    for (const int depth : {CV_8U, CV_16U, CV_32F}) {
      for (std::size_t place = 0; place < 53; ++place) {
        std::vector<float> from = numbers(53);
        from[place] = bad;
        std::vector<float> out(53);
        ResultRows rows(0.5F, depth);
        rows.convert(from.data(), from.size(), reinterpret_cast<uchar*>(out.data()));
        EXPECT_FALSE(rows.values().is_finite) << bad << " at " << place;
      }
    }
  }
}

}  // namespace
}  // namespace retouchd::inference
