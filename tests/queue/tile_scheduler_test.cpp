#include "queue/tile_scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace retouchd::queue {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;

class Owner final : public TileOwner {
 public:
  [[nodiscard]] bool is_abandoned() const noexcept override { return abandoned; }
  bool abandoned = false;
};

struct Ask {
  std::uint64_t picture = 1;
  int index = 0;
  int priority = 0;
  bool preview = false;
  int side = 512;
  std::shared_ptr<Owner> owner = std::make_shared<Owner>();
};

Tile tile(const Ask& ask) {
  Tile tile;
  tile.bin = {"net", ask.side, ask.side};
  tile.picture = ask.picture;
  tile.index = ask.index;
  tile.priority = ask.priority;
  tile.preview = ask.preview;
  tile.window = cv::Mat(4, 4, CV_8UC3);
  tile.owner = ask.owner;
  return tile;
}

void push(TileScheduler& scheduler, const Ask& ask) { ASSERT_TRUE(scheduler.push(tile(ask))); }

/// "1.0 2.0": picture.index of each tile of the next batch.
std::vector<std::string> next(TileScheduler& scheduler, std::size_t max_tiles) {
  std::vector<std::string> names;
  const auto batch = scheduler.pop(max_tiles, milliseconds(0));
  if (!batch) return names;
  for (const Tile& t : batch->tiles) names.push_back(std::to_string(t.picture) + "." + std::to_string(t.index));
  return names;
}

TEST(TileScheduler, PicturesTakeTurnsWithinABatch) {
  TileScheduler scheduler(100);
  for (int i = 0; i < 4; ++i) push(scheduler, {.picture = 1, .index = i});
  for (int i = 0; i < 2; ++i) push(scheduler, {.picture = 2, .index = i});
  push(scheduler, {.picture = 3, .index = 0});
  EXPECT_THAT(next(scheduler, 4), ElementsAre("1.0", "2.0", "3.0", "1.1"));
  EXPECT_THAT(next(scheduler, 4), ElementsAre("2.1", "1.2", "1.3"));
}

TEST(TileScheduler, PreviewOvertakesBacklog) {
  TileScheduler scheduler(100);
  for (int i = 0; i < 8; ++i) push(scheduler, {.picture = 1, .index = i, .priority = 9});
  push(scheduler, {.picture = 2, .index = 0, .preview = true});
  EXPECT_THAT(next(scheduler, 2), ElementsAre("2.0", "1.0"));
}

TEST(TileScheduler, HigherPriorityGoesFirst) {
  TileScheduler scheduler(100);
  push(scheduler, {.picture = 1});
  push(scheduler, {.picture = 2, .priority = 5});
  EXPECT_THAT(next(scheduler, 1), ElementsAre("2.0"));
  EXPECT_THAT(next(scheduler, 1), ElementsAre("1.0"));
}

TEST(TileScheduler, OneBatchHoldsOneBinAndTheOldestPictureDecidesWhich) {
  TileScheduler scheduler(100);
  push(scheduler, {.picture = 1, .side = 512});
  push(scheduler, {.picture = 2, .side = 256});
  push(scheduler, {.picture = 3, .side = 512});
  EXPECT_THAT(next(scheduler, 8), ElementsAre("1.0", "3.0"));
  EXPECT_THAT(next(scheduler, 8), ElementsAre("2.0"));
}

TEST(TileScheduler, AbandonedTilesAreDroppedAndTheirPicturesFreed) {
  TileScheduler scheduler(100);
  auto owner = std::make_shared<Owner>();
  const std::weak_ptr<Owner> alive = owner;
  for (int i = 0; i < 3; ++i) push(scheduler, {.picture = 1, .index = i, .owner = owner});
  push(scheduler, {.picture = 2});
  owner->abandoned = true;
  owner.reset();
  scheduler.drop_abandoned();
  EXPECT_TRUE(alive.expired());
  EXPECT_EQ(scheduler.depth(), 1U);
  EXPECT_EQ(scheduler.bytes(), Bytes{4 * 4 * 3});
  EXPECT_THAT(next(scheduler, 4), ElementsAre("2.0"));
}

TEST(TileScheduler, FullSchedulerHoldsFullPassesButNeverPreviews) {
  TileScheduler scheduler(1);
  push(scheduler, {.picture = 1, .index = 0});
  push(scheduler, {.picture = 2, .index = 0, .preview = true});
  auto held = std::async(std::launch::async, [&] { return scheduler.push(tile({.picture = 1, .index = 1})); });
  EXPECT_THAT(next(scheduler, 2), ElementsAre("2.0", "1.0"));
  EXPECT_TRUE(held.get());
  EXPECT_THAT(next(scheduler, 2), ElementsAre("1.1"));
}

TEST(TileScheduler, UnderfullBatchWaitsForCompanyAFullOneDoesNot) {
  TileScheduler scheduler(100);
  push(scheduler, {.picture = 1, .index = 0});
  auto popped = std::async(std::launch::async, [&] { return scheduler.pop(2, std::chrono::minutes(5)); });
  push(scheduler, {.picture = 2, .index = 0});
  const auto batch = popped.get();  // would take five minutes if the second tile did not complete it
  ASSERT_TRUE(batch);
  EXPECT_EQ(batch->tiles.size(), 2U);
}

TEST(TileScheduler, ClosedSchedulerHandsOutWhatIsLeft) {
  TileScheduler scheduler(100);
  push(scheduler, {.picture = 1});
  scheduler.close();
  EXPECT_FALSE(scheduler.push(tile({.picture = 2})));
  EXPECT_TRUE(scheduler.wait_for_work(milliseconds(0)));
  EXPECT_THAT(next(scheduler, 4), ElementsAre("1.0"));
  EXPECT_FALSE(scheduler.pop(4, milliseconds(0)).has_value());
}

TEST(TileScheduler, WaitForWorkTellsAnIdleDeviceThatThereIsNone) {
  TileScheduler scheduler(100);
  EXPECT_FALSE(scheduler.wait_for_work(milliseconds(1)));
  push(scheduler, {});
  EXPECT_TRUE(scheduler.wait_for_work(milliseconds(1)));
}

TEST(TileScheduler, EveryTileComesOutOnceWithManyDevices) {
  TileScheduler scheduler(16);
  std::atomic<int> taken = 0;
  constexpr int kPictures = 20;
  constexpr int kTiles = 50;
  {
    std::vector<std::jthread> devices;
    for (int i = 0; i < 3; ++i) {
      devices.emplace_back([&] {
        while (const auto batch = scheduler.pop(4, milliseconds(1))) taken += static_cast<int>(batch->tiles.size());
      });
    }
    {
      std::vector<std::jthread> producers;
      for (int p = 0; p < 2; ++p) {
        producers.emplace_back([&, p] {
          for (int picture = p; picture < kPictures; picture += 2) {
            for (int i = 0; i < kTiles; ++i) push(scheduler, {.picture = static_cast<std::uint64_t>(picture), .index = i});
          }
        });
      }
    }
    scheduler.close();
  }
  EXPECT_EQ(taken, kPictures * kTiles);
  EXPECT_EQ(scheduler.bytes(), Bytes{0});
}

}  // namespace
}  // namespace retouchd::queue
