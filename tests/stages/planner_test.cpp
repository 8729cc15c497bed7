#include "stages/planner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "networks.h"

namespace retouchd::stages {
namespace {

using inference::CostModel;
using inference::NetworkInfo;
using testing::HasSubstr;
using Mode = Settings::Mode;

const cv::Size kSevenMegapixels(3296, 2192);
/// A kilobyte a pixel and a megabyte besides; a second a megapixel and 10 ms besides.
constexpr CostModel kCost{1024, 1 << 20, 1.0, 0.01};

NetworkInfo local_network() {
  NetworkInfo network = network_on_paper(std::nullopt);
  network.local_window = 384;
  return network;
}

PlanFacts with(Mode mode, std::optional<CostModel> cost = kCost, Bytes memory = gibibytes(128)) {
  PlanFacts facts;
  facts.mode = mode;
  facts.batch = 4;
  facts.memory = memory;
  facts.cost = cost;
  return facts;
}

TEST(Planner, AutoTilesWhatTilesDoNotChange) {
  const auto plan = plan_picture(kSevenMegapixels, network_on_paper(39), with(Mode::kAuto));
  EXPECT_FALSE(plan.is_single_pass);
  EXPECT_GT(plan.tiles.count(), 1);
  EXPECT_FALSE(plan.tiles.is_feathered);
  EXPECT_THAT(plan.reasons.at("mode"), HasSubstr("tiles with that context equal the whole"));
  EXPECT_THAT(plan.reasons.at("tile"), HasSubstr("context of 40 pixels is cut off"));
}

TEST(Planner, AutoTilesNetworksThatWereTrainedOnParts) {
  const auto plan = plan_picture(kSevenMegapixels, network_on_paper(std::nullopt), with(Mode::kAuto));
  EXPECT_FALSE(plan.is_single_pass);
  EXPECT_TRUE(plan.tiles.is_feathered);
  EXPECT_THAT(plan.reasons.at("mode"), HasSubstr("trained on parts"));
  EXPECT_THAT(plan.reasons.at("tile"), HasSubstr("neighbours blend into each other"));
}

TEST(Planner, AutoTakesNetworksThatLookThroughWindowsWhole) {
  const auto plan = plan_picture(kSevenMegapixels, local_network(), with(Mode::kAuto));
  EXPECT_TRUE(plan.is_single_pass);
  EXPECT_EQ(plan.tiles.count(), 1);
  EXPECT_EQ(plan.tiles.tile, kSevenMegapixels);
  EXPECT_EQ(plan.batch, 1);
  EXPECT_THAT(plan.reasons.at("mode"), HasSubstr("windows of 384"));
}

TEST(Planner, WhatWasAskedForIsDone) {
  const auto whole = plan_picture(kSevenMegapixels, network_on_paper(39), with(Mode::kSinglePass));
  EXPECT_TRUE(whole.is_single_pass);
  EXPECT_EQ(whole.reasons.at("mode"), "asked for");
  const auto tiled = plan_picture(kSevenMegapixels, local_network(), with(Mode::kTiled));
  EXPECT_FALSE(tiled.is_single_pass);
  EXPECT_EQ(tiled.reasons.at("mode"), "asked for");
}

TEST(Planner, ASinglePassIsRoundedUpToTheMultiple) {
  const auto plan = plan_picture({1001, 701}, network_on_paper(std::nullopt), with(Mode::kSinglePass));
  EXPECT_TRUE(plan.is_single_pass);
  EXPECT_EQ(plan.tiles.tile, cv::Size(1008, 704));
  EXPECT_EQ(plan.tiles.at(0).core, cv::Rect(0, 0, 1001, 701));
}

TEST(Planner, WhatDoesNotFitGoesInTilesAndSaysTheNumbers) {
  // 3296 * 2192 pixels of 1024 bytes and 12 of the result, and a megabyte: 6.97 GiB.
  const auto plan = plan_picture(kSevenMegapixels, local_network(), with(Mode::kAuto, kCost, gibibytes(2)));
  EXPECT_FALSE(plan.is_single_pass);
  EXPECT_GT(plan.tiles.count(), 1);
  const Bytes needed{3296ULL * 2192 * 1036 + (1 << 20)};
  EXPECT_EQ(plan.reasons.at("mode"), "a single pass takes " + to_string(needed) + ", there are " + to_string(gibibytes(2)));

  const auto asked = plan_picture(kSevenMegapixels, local_network(), with(Mode::kSinglePass, kCost, gibibytes(2)));
  EXPECT_FALSE(asked.is_single_pass) << "also when it was asked for";
  const auto just = plan_picture(kSevenMegapixels, local_network(), with(Mode::kAuto, kCost, needed));
  EXPECT_TRUE(just.is_single_pass);
  EXPECT_EQ(just.memory, needed);
}

TEST(Planner, TilesShrinkUntilTheyFit) {
  PlanFacts facts = with(Mode::kTiled);
  facts.memory = batch_memory(network_on_paper(39), {256, 256}, facts);
  const auto plan = plan_picture(kSevenMegapixels, network_on_paper(39), facts);
  EXPECT_LE(plan.tiles.tile.area(), 256 * 256);
  EXPECT_LE(*plan.memory, facts.memory);
  EXPECT_THAT(plan.reasons.at("tile"), HasSubstr("larger ones do not fit into memory"));
}

TEST(Planner, ANetworkThatReachesFarKeepsItsSmallestTileHoweverLittleMemoryThereIs) {
  const auto plan = plan_picture(kSevenMegapixels, network_on_paper(150), with(Mode::kTiled, kCost, mebibytes(1)));
  EXPECT_GE(plan.tiles.tile.width, 4 * 152);
}

TEST(Planner, WhatWasNeverMeasuredGoesInTiles) {
  const auto plan = plan_picture(kSevenMegapixels, local_network(), with(Mode::kSinglePass, std::nullopt));
  EXPECT_FALSE(plan.is_single_pass);
  EXPECT_THAT(plan.reasons.at("mode"), HasSubstr("nobody measured yet"));
  EXPECT_FALSE(plan.memory);
  EXPECT_FALSE(plan.seconds);
  EXPECT_THAT(plan.reasons.at("memory"), HasSubstr("not measured yet"));
}

TEST(Planner, MemoryOfABatchIsItsPassAndItsResults) {
  PlanFacts facts = with(Mode::kTiled);
  const NetworkInfo network = network_on_paper(39);
  const auto together = plan_picture(kSevenMegapixels, network, facts);
  const auto tile = static_cast<std::uint64_t>(together.tiles.tile.area());
  ASSERT_EQ(together.batch, 4);
  EXPECT_EQ(together.memory, Bytes(4 * tile * 1024 + (1 << 20) + 4 * tile * 12)) << "one pass over four tiles";

  facts.together = false;
  facts.passes = 2;
  const auto lanes = plan_picture(kSevenMegapixels, network, facts);
  EXPECT_EQ(lanes.batch, 2);
  EXPECT_EQ(lanes.memory, Bytes(2 * (tile * 1024 + (1 << 20)) + 2 * 4 * tile * 12)) << "two calls at a time, four results each";
}

TEST(Planner, AnEnlargedResultTakesItsSquare) {
  const auto plan = plan_picture({512, 512}, network_on_paper(std::nullopt, 4), with(Mode::kSinglePass));
  EXPECT_EQ(plan.memory, Bytes(512ULL * 512 * (1024 + 12 * 16) + (1 << 20)));
}

TEST(Planner, TimeIsThatOfAllTiles) {
  const auto whole = plan_picture({1000, 1000}, network_on_paper(39), with(Mode::kSinglePass));
  ASSERT_TRUE(whole.seconds);
  EXPECT_NEAR(*whole.seconds, 1.01, 1e-9);
  const auto tiled = plan_picture({1000, 1000}, network_on_paper(39), with(Mode::kTiled));
  ASSERT_TRUE(tiled.seconds);
  EXPECT_NEAR(*tiled.seconds, tiled.tiles.count() * (static_cast<double>(tiled.tiles.tile.area()) / 1e6 + 0.01), 1e-9);
  EXPECT_GT(*tiled.seconds, *whole.seconds);
}

TEST(Planner, ABatchHasNoMoreTilesThanThePicture) {
  const auto plan = plan_picture({100, 100}, network_on_paper(39), with(Mode::kAuto));
  EXPECT_EQ(plan.tiles.count(), 1);
  EXPECT_EQ(plan.batch, 1);
}

/// The table of docs/planning.md.
TEST(Planner, CutsSevenMegapixelsAsDocumented) {
  const NetworkInfo global = network_on_paper(std::nullopt);
  const auto by_512 = plan_tiles(kSevenMegapixels, global, {512, 512});
  EXPECT_EQ(by_512.x.windows.size(), 8U);
  EXPECT_EQ(by_512.y.windows.size(), 5U);
  EXPECT_NEAR(by_512.work_ratio(), 1.45, 0.005);
  const auto by_1024 = plan_tiles(kSevenMegapixels, global, {1024, 1024});
  EXPECT_EQ(by_1024.count(), 12);
  EXPECT_NEAR(by_1024.work_ratio(), 1.74, 0.005);

  const auto planned = plan_picture(kSevenMegapixels, global, with(Mode::kTiled)).tiles;
  EXPECT_EQ(planned.tile, cv::Size(528, 496));
  EXPECT_EQ(planned.count(), 35);
  EXPECT_NEAR(planned.work_ratio(), 1.27, 0.005);
  const auto with_context = plan_picture(kSevenMegapixels, network_on_paper(39), with(Mode::kTiled)).tiles;
  EXPECT_EQ(with_context.tile, cv::Size(488, 504));
  EXPECT_EQ(with_context.count(), 40);
  EXPECT_NEAR(with_context.work_ratio(), 1.36, 0.005);
}

TEST(Planner, WhatRanOutOfMemoryOnceIsNotPlannedAgain) {
  PlanFacts facts = with(Mode::kAuto);
  facts.bearable_pixels = 300.0 * 300;
  EXPECT_LE(plan_picture(kSevenMegapixels, network_on_paper(39), facts).tiles.tile.area(), 300 * 300);
  const auto plan = plan_picture(kSevenMegapixels, local_network(), facts);
  EXPECT_FALSE(plan.is_single_pass);
  EXPECT_THAT(plan.reasons.at("mode"), HasSubstr("ran out of memory"));
}

}  // namespace
}  // namespace retouchd::stages
