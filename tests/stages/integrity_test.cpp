#include "stages/integrity.h"

#include <gtest/gtest.h>

#include <limits>
#include <opencv2/core.hpp>

#include "networks.h"

namespace retouchd::stages {
namespace {

class IntegrityTest : public testing::Test {
 protected:
  static inference::Window window(int darkest, int brightest) {
    cv::Mat colour(64, 64, CV_8UC3, cv::Scalar::all(darkest));
    colour.at<cv::Vec3b>(10, 10) = cv::Vec3b::all(static_cast<std::uint8_t>(brightest));
    return {colour, {}, CV_8U};
  }
  static std::optional<RerunReason> judge(const inference::Window& window, const inference::Values& values) {
    return what_is_wrong(network_on_paper(39), window, {{}, values});
  }
};

TEST_F(IntegrityTest, SoundResultsPass) {
  EXPECT_EQ(judge(window(0, 255), {true, -0.05F, 1.1F}), std::nullopt) << "a network may overshoot a little";
  EXPECT_EQ(judge(window(100, 101), {true, 0.4F, 0.4F}), std::nullopt) << "an even picture may come out even";
}

TEST_F(IntegrityTest, WhatIsNoNumberIsWrong) { EXPECT_EQ(judge(window(0, 255), {false, 0.0F, 1.0F}), RerunReason::kNotFinite); }

TEST_F(IntegrityTest, WhatIsFarOutOfRangeIsWrong) {
  EXPECT_EQ(judge(window(0, 255), {true, 0.0F, 3.0F}), RerunReason::kRange);
  EXPECT_EQ(judge(window(0, 255), {true, -2.0F, 1.0F}), RerunReason::kRange);
}

TEST_F(IntegrityTest, FloatsMayComeOutAsFarOutsideAsTheyWentIn) {
  cv::Mat bright(64, 64, CV_32FC3, cv::Scalar::all(0.5));
  bright.at<cv::Vec3f>(5, 5) = {6.0F, 0.5F, -3.0F};
  const inference::Window window{bright, {}, CV_32F};
  EXPECT_EQ(judge(window, {true, -3.2F, 6.3F}), std::nullopt);
  EXPECT_EQ(judge(window, {true, 0.0F, 7.5F}), RerunReason::kRange);
  EXPECT_EQ(judge(window, {true, -4.5F, 1.0F}), RerunReason::kRange);
}

TEST_F(IntegrityTest, OneFlatColourOutOfAPictureWithContrastIsWrong) {
  EXPECT_EQ(judge(window(0, 255), {true, 0.0F, 0.0F}), RerunReason::kConstant);
}

TEST_F(IntegrityTest, DepthMayBeUnknownAllOver) {
  inference::NetworkInfo network = network_on_paper(39);
  network.companion = inference::Companion::kDepth;
  EXPECT_EQ(what_is_wrong(network, window(0, 255), {{}, {true, 0.0F, 0.0F}}), std::nullopt);
}

}  // namespace
}  // namespace retouchd::stages
