#include "inference/remote/planes.h"

#include <gtest/gtest.h>

#include <opencv2/core.hpp>

#include "inference/batch_layout.h"

namespace retouchd::inference {
namespace {

TEST(Planes, FloatsGoThereAndComeBackAsTheyAreAlsoOutsideOfZeroToOne) {
  for (const int network_channels : {1, 3}) {
    NetworkInfo network;
    network.channels = network_channels;
    cv::Mat colour(40, 50, CV_32FC3);
    cv::RNG(3).fill(colour, cv::RNG::UNIFORM, -2.0, 5.0);
    const Window window{colour, {}, CV_32F};
    const cv::Size tensor(64, 48);
    const cv::Mat planes = to_planes(network, NumberType::kFp32, tensor, {&window, 1});
    std::vector<PlaceResult> places;
    for (int i = 0; i < places_in_batch(network, window); ++i)
      places.push_back({planes.ptr(i * tensor.height * network.channels), NumberType::kFp32, tensor});
    const Restored back = from_planes(network, places, window);
    ASSERT_EQ(back.pixels.type(), CV_32FC3);
    EXPECT_EQ(cv::norm(back.pixels, colour, cv::NORM_INF), 0) << network_channels;
    EXPECT_GT(back.values.most, 4.0F);
  }
}

}  // namespace
}  // namespace retouchd::inference
