#include "inference/batch_layout.h"

#include <gtest/gtest.h>

#include <opencv2/core.hpp>

namespace retouchd::inference {
namespace {

Window window(int type, cv::Size size = {32, 24}, int depth = CV_8U) { return {cv::Mat::zeros(size, type), {}, depth}; }

NetworkInfo colour_network() { return {}; }

NetworkInfo gray_network() {
  NetworkInfo info;
  info.channels = 1;
  return info;
}

TEST(BatchLayout, TilesOfOneKindAreOneRun) {
  const std::vector<Window> windows(8, window(CV_8UC3));
  const BatchLayout layout = lay_out(colour_network(), windows);
  EXPECT_EQ(layout.depth, CV_8U);
  ASSERT_EQ(layout.inputs.size(), 1U);
  EXPECT_EQ(layout.inputs[0].places, 8);
  ASSERT_EQ(layout.outputs.size(), 1U);
  EXPECT_EQ(layout.outputs[0].windows, 8);
}

TEST(BatchLayout, TheWidestPictureDecidesForAll) {
  EXPECT_EQ(lay_out(colour_network(), std::vector{window(CV_8UC3), window(CV_16UC3)}).depth, CV_16U);
  const BatchLayout floats = lay_out(colour_network(), std::vector{window(CV_8UC3), window(CV_32FC3), window(CV_16UC3)});
  EXPECT_EQ(floats.depth, CV_32F);
  EXPECT_TRUE(floats.inputs.empty()) << "converted on the host";
}

TEST(BatchLayout, DepthInMillimetresNeedsSixteenBitsAndAFactorOfItsOwn) {
  NetworkInfo info;
  info.companion = Companion::kDepth;
  Window one = window(CV_8UC3);
  one.companion = cv::Mat::zeros(one.colour.size(), CV_16UC1);
  const BatchLayout layout = lay_out(info, std::vector{one, one});
  EXPECT_EQ(layout.depth, CV_16U);
  ASSERT_EQ(layout.inputs.size(), 1U);
  EXPECT_EQ(layout.inputs[0].colour, 1.0 / 255.0);
  EXPECT_EQ(layout.inputs[0].companion, 0.001);
  EXPECT_EQ(layout.output_factor, 1000.0F / 65535.0F);
}

TEST(BatchLayout, DepthsAlternatingAreRunsOfTheirOwn) {
  const BatchLayout layout =
      lay_out(colour_network(), std::vector{window(CV_8UC3), window(CV_16UC3), window(CV_16UC1), window(CV_8UC3)});
  ASSERT_EQ(layout.inputs.size(), 3U);
  EXPECT_EQ(layout.inputs[1].places, 2);
  EXPECT_EQ(layout.outputs.size(), 3U) << "the gray one wants the mean of its colours";
  EXPECT_TRUE(layout.outputs[1].is_mean);
}

TEST(BatchLayout, ColoursOfAGrayNetworkTakeThreePlaces) {
  const BatchLayout layout = lay_out(gray_network(), std::vector{window(CV_8UC3), window(CV_8UC1), window(CV_8UC1)});
  ASSERT_EQ(layout.inputs.size(), 1U);
  EXPECT_EQ(layout.inputs[0].places, 5);
  ASSERT_EQ(layout.outputs.size(), 2U);
  EXPECT_EQ(layout.outputs[0].places, 3);
  EXPECT_EQ(layout.outputs[1].windows, 2);
  EXPECT_FALSE(layout.outputs[1].is_mean);
}

TEST(BatchLayout, ResultsDifferBySizeAndDepth) {
  NetworkInfo info;
  info.scale = 2;
  const BatchLayout layout =
      lay_out(info, std::vector{window(CV_8UC3), window(CV_8UC3, {31, 24}), window(CV_8UC3, {31, 24}, CV_32F)});
  EXPECT_EQ(layout.inputs.size(), 1U);
  ASSERT_EQ(layout.outputs.size(), 3U);
  EXPECT_EQ(layout.outputs[1].own, cv::Size(62, 48));
  EXPECT_EQ(layout.outputs[2].depth, CV_32F);
}

}  // namespace
}  // namespace retouchd::inference
