// The built-in network's receptive field is finite and the halo covers it: cutting a picture into tiles must not change the
// result.
#include <gtest/gtest.h>

#include <opencv2/core.hpp>

#include "inference/device.h"
#include "inference/registry.h"
#include "stages/tile_plan.h"

namespace retouchd::stages {
namespace {

class TiledEqualsWhole : public testing::TestWithParam<cv::Size> {};

TEST_P(TiledEqualsWhole, ToTheLastBitOfThePictureAndWithinAMillionthInFp32) {
  const inference::Registry registry({{std::filesystem::path(RETOUCHD_SOURCE_DIR) / "models"}});
  const auto network = registry.find("student-tiny");
  ASSERT_TRUE(network);
  const auto devices = inference::open_devices({"cpu", 2});
  ASSERT_TRUE(devices);
  inference::Device& device = *devices->front();
  ASSERT_TRUE(device.load(*network));

  cv::Mat picture(GetParam(), CV_8UC3);
  cv::RNG generator(5);
  generator.fill(picture, cv::RNG::NORMAL, 120, 50);

  const int whole_side = 640;
  const auto whole = device.restore(*network, {whole_side, whole_side}, std::vector<inference::Window>{{picture, {}}});
  ASSERT_TRUE(whole);
  const TilePlan plan = plan_tiles(picture.size(), *network, {256, 256});
  ASSERT_GT(plan.count(), 4);
  for (int i = 0; i < plan.count(); ++i) {
    const TilePlan::Tile tile = plan.at(i);
    const auto restored = device.restore(*network, plan.tile, std::vector<inference::Window>{{picture(tile.window), {}}});
    ASSERT_TRUE(restored);
    const cv::Mat core = restored->front().pixels(tile.core - tile.window.tl());
    EXPECT_LE(cv::norm(core, whole->front().pixels(tile.core), cv::NORM_INF), 1e-6) << "tile " << i;
  }
}

// 633 and 637 are padded to 640 by reflection, in one piece as in tiles.
INSTANTIATE_TEST_SUITE_P(Sizes, TiledEqualsWhole, testing::Values(cv::Size(640, 640), cv::Size(633, 637)));

}  // namespace
}  // namespace retouchd::stages
