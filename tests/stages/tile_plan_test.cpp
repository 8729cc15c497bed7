#include "stages/tile_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>
#include <set>
#include <utility>

#include "networks.h"

namespace retouchd::stages {
namespace {

/// Every promise of the plan along one axis, checked against the obvious definition.
void expect_sound(const TileAxis& axis, int side, int halo, int multiple) {
  ASSERT_FALSE(axis.windows.empty());
  const int padded = (axis.length + multiple - 1) / multiple * multiple;
  int covered = 0;
  for (std::size_t i = 0; i < axis.windows.size(); ++i) {
    const TileAxis::Window& window = axis.windows[i];
    ASSERT_EQ(window.begin, covered) << "gap or overlap of cores";
    ASSERT_LT(window.begin, window.end) << "empty core";
    covered = window.end;
    ASSERT_EQ(window.origin % multiple, 0);
    ASSERT_GE(window.origin, 0);
    if (axis.windows.size() > 1) {
      ASSERT_LE(window.origin + side, padded) << "padded although the picture is large enough";
    }
    if (i > 0) {
      ASSERT_GE(window.begin - window.origin, halo) << "left halo too small";
    }
    if (i + 1 < axis.windows.size()) {
      ASSERT_GE(window.origin + side - window.end, halo) << "right halo too small";
    }
  }
  ASSERT_EQ(covered, axis.length);
}

TEST(TilePlan, CoversEveryLengthExactlyWithFullHalos) {
  const auto network = network_on_paper(39);
  for (const int side : {128, 192, 256, 512}) {
    for (int length = 1; length <= 2000; ++length) {
      SCOPED_TRACE(testing::Message() << "length " << length << ", side " << side);
      expect_sound(plan_tiles({length, 16}, network, {side, side}).x, side, network.halo(), network.multiple);
      if (testing::Test::HasFatalFailure()) return;
    }
  }
}

TEST(TilePlan, UsesNoMoreTilesThanTheHaloDemands) {
  const auto network = network_on_paper(39);
  for (int length = 129; length <= 2000; ++length) {
    const int padded = (length + 7) / 8 * 8;
    const int own = 128 - 2 * network.halo();
    EXPECT_EQ(plan_tiles({length, 16}, network, {128, 128}).x.windows.size(),
              static_cast<std::size_t>((padded - 2 * network.halo() + own - 1) / own))
        << length;
  }
}

TEST(TilePlan, FeatherWeightsSumToOneEverywhere) {
  const auto network = network_on_paper(std::nullopt);
  for (const int side : {128, 256}) {
    for (int length = 1; length <= 2000; ++length) {
      const TileAxis axis = plan_tiles({length, 16}, network, {side, side}).x;
      for (int position = 0; position < length; ++position) {
        float sum = 0;
        int voices = 0;
        for (const TileAxis::Window& window : axis.windows) {
          const float weight = feather_weight(window, position);
          ASSERT_GE(weight, 0.0F);
          sum += weight;
          if (weight > 0) {
            ++voices;
            ASSERT_GE(position, window.origin) << "a tile has a say where it saw nothing";
            ASSERT_LT(position, window.origin + side);
          }
        }
        ASSERT_NEAR(sum, 1.0F, 1e-6F) << "length " << length << ", position " << position;
        ASSERT_LE(voices, 2);
      }
    }
  }
}

TEST(TilePlan, FeatherRampsFallSmoothly) {
  const TileAxis axis = plan_tiles({600, 16}, network_on_paper(std::nullopt), {256, 256}).x;
  const TileAxis::Window& first = axis.windows.front();
  for (int position = first.end - first.ramp_end; position + 1 < first.end + first.ramp_end; ++position) {
    const float step = feather_weight(first, position) - feather_weight(first, position + 1);
    EXPECT_GE(step, 0.0F);
    EXPECT_LT(step, 0.06F);
  }
}

TEST(TilePlan, TheBestTilesAreSoundForEveryPicture) {
  std::mt19937 random(6);
  const auto any = [&random](int from, int to) { return std::uniform_int_distribution<int>(from, to)(random); };
  for (int round = 0; round < 3000; ++round) {
    const int scale = std::array{1, 1, 2, 4}[static_cast<std::size_t>(any(0, 3))];
    auto network = network_on_paper(any(0, 2) == 0 ? std::nullopt : std::optional(any(0, 120)), scale);
    network.multiple = std::array{1, 8, 8, 16, 64, 256}[static_cast<std::size_t>(any(0, 5))];
    const int most = round % 2 == 0 ? 600 : 6000;
    const cv::Size size(any(1, most), any(1, most));
    const int largest = any(128, 1024);
    SCOPED_TRACE(testing::Message() << "round " << round << ": " << size.width << "x" << size.height << ", multiple "
                                    << network.multiple << ", halo " << network.halo() << ", largest " << largest);
    const TilePlan plan = plan_best_tiles(size, network, largest);
    ASSERT_EQ(plan.tile.width % network.multiple, 0);
    ASSERT_EQ(plan.tile.height % network.multiple, 0);
    expect_sound(plan.x, plan.tile.width, network.halo(), network.multiple);
    expect_sound(plan.y, plan.tile.height, network.halo(), network.multiple);
    if (testing::Test::HasFatalFailure()) return;
    if (plan.count() > 1) {
      ASSERT_GE(std::min(plan.tile.width, plan.tile.height), 4 * network.halo()) << "half of a tile is not its own";
    }
    const int limit = largest_side(network, largest);
    if (limit >= 4 * network.halo() && limit >= 4 * network.multiple) {
      ASSERT_LE(plan.tile.area(), limit * limit);
    }
  }
}

TEST(TilePlan, LargePicturesAreCoveredWithLessWorkThanBySquares) {
  for (const auto& network : {network_on_paper(39), network_on_paper(std::nullopt)}) {
    for (const cv::Size size : {cv::Size(3296, 2192), cv::Size(2192, 3296), cv::Size(4000, 3000), cv::Size(4032, 3024),
                                cv::Size(3024, 4032), cv::Size(6000, 4000), cv::Size(8192, 5464)}) {
      const double best = plan_best_tiles(size, network, 512).work_ratio();
      for (const int side : {256, 384, 512})
        EXPECT_LT(best, plan_tiles(size, network, {side, side}).work_ratio()) << size.width << "x" << size.height;
    }
  }
}

TEST(TilePlan, SmallPicturesShareAFewShapes) {
  const auto network = network_on_paper(39);
  std::set<std::pair<int, int>> shapes;
  for (int width = 40; width <= 900; width += 37) {
    for (int height = 40; height <= 600; height += 31) {
      const TilePlan plan = plan_best_tiles({width, height}, network, 512);
      shapes.emplace(plan.tile.width, plan.tile.height);
    }
  }
  EXPECT_LE(shapes.size(), 7U);
}

TEST(TilePlan, APictureSmallerThanAnyTileIsPaddedToTheSmallest) {
  const TilePlan plan = plan_best_tiles({90, 60}, network_on_paper(39), 512);
  EXPECT_EQ(plan.count(), 1);
  EXPECT_EQ(plan.tile, cv::Size(256, 256));
  EXPECT_EQ(plan.at(0).core, cv::Rect(0, 0, 90, 60));
}

TEST(TilePlan, APictureThatFitsIntoTheLargestSquareIsNotCut) {
  const TilePlan plan = plan_best_tiles({500, 490}, network_on_paper(39), 512);
  EXPECT_EQ(plan.count(), 1);
  EXPECT_EQ(plan.tile, cv::Size(512, 512));
}

TEST(TilePlan, LessMemoryMeansSmallerTilesOfTheSameKind) {
  const auto network = network_on_paper(39);
  int last = 1 << 30;
  for (int largest = 1024; largest >= 200; largest /= 2) {
    const TilePlan plan = plan_best_tiles({3296, 2192}, network, largest);
    EXPECT_LE(plan.tile.area(), largest * largest);
    EXPECT_LT(plan.tile.area(), last);
    EXPECT_LT(std::max(plan.tile.width, plan.tile.height) / 2, largest) << "the planner could not go on to a smaller one";
    last = plan.tile.area();
  }
}

TEST(TilePlan, AFarReachingNetworkGetsLargerTilesThanAskedFor) {
  const auto network = network_on_paper(300);
  const TilePlan plan = plan_best_tiles({2000, 2000}, network, 512);
  EXPECT_GE(plan.tile.width, 4 * network.halo());
}

TEST(TilePlan, TilesLieInsideThePicture) {
  const TilePlan plan = plan_tiles({1001, 333}, network_on_paper(39), {256, 256});
  const cv::Rect picture(0, 0, 1001, 333);
  int area = 0;
  for (int i = 0; i < plan.count(); ++i) {
    const TilePlan::Tile tile = plan.at(i);
    EXPECT_EQ(tile.window & picture, tile.window);
    EXPECT_EQ(tile.core & tile.window, tile.core);
    area += tile.core.area();
  }
  EXPECT_EQ(area, picture.area());
}

}  // namespace
}  // namespace retouchd::stages
