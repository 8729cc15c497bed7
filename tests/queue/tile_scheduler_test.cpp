#include "queue/tile_scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <map>
#include <random>
#include <set>
#include <thread>

#include "tiles.h"

namespace retouchd::queue {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;

UnixMillis at(int ms) { return UnixMillis(milliseconds(ms)); }

TEST(TileScheduler, PreviewOvertakesBacklogAndTheBestTilesOfItsBinFillHalfTheBatch) {
  TileScheduler scheduler(100);
  push_picture(scheduler, {.picture = 1}, 8);
  push_picture(scheduler, {.picture = 2, .priority = 9}, 8);
  push(scheduler, {.picture = 3, .preview = true});
  EXPECT_THAT(next(scheduler, 4), ElementsAre("3.0", "2.0"));
}

TEST(TileScheduler, TilesOfAPreviewGoOutTogether) {
  TileScheduler scheduler(1);
  push(scheduler, {.picture = 1});
  std::vector<Tile> preview;
  for (int i = 0; i < 5; ++i) preview.push_back(tile({.picture = 2, .index = i, .preview = true}));
  ASSERT_TRUE(scheduler.push_preview(std::move(preview)));
  EXPECT_THAT(next(scheduler, 8), ElementsAre("2.0", "2.1", "2.2", "2.3", "2.4"));
  EXPECT_THAT(next(scheduler, 8), ElementsAre("1.0"));
}

TEST(TileScheduler, WhoeverTakesOnlyPreviewsLeavesTheRestToOthers) {
  TileScheduler scheduler(10);
  push_picture(scheduler, {.picture = 1}, 4);
  PullRequest only_previews = request(2);
  only_previews.only_previews = true;
  EXPECT_FALSE(scheduler.pull(only_previews, milliseconds(0)));
  push(scheduler, {.picture = 2, .preview = true});
  const auto batch = scheduler.pull(only_previews, milliseconds(0));
  ASSERT_TRUE(batch);
  EXPECT_EQ(batch->tiles.front().picture, 2U);
}

TEST(TileScheduler, HigherPriorityGoesFirst) {
  TileScheduler scheduler(100);
  push(scheduler, {.picture = 1});
  push(scheduler, {.picture = 2, .priority = 5});
  EXPECT_THAT(next(scheduler, 1), ElementsAre("2.0"));
  EXPECT_THAT(next(scheduler, 1), ElementsAre("1.0"));
}

TEST(TileScheduler, EarlierDeadlineGoesFirstWithinAPriority) {
  TileScheduler scheduler(100);
  push(scheduler, {.picture = 1});
  push(scheduler, {.picture = 2, .deadline = at(2000)});
  push(scheduler, {.picture = 3, .deadline = at(1000)});
  push(scheduler, {.picture = 4, .priority = 1, .deadline = at(3000)});
  EXPECT_THAT(next(scheduler, 4), ElementsAre("4.0", "3.0", "2.0", "1.0"));
}

TEST(TileScheduler, ClientWithTenTilesIsDoneWhileOneWithAThousandGoesOn) {
  TileScheduler scheduler(2000);
  push_picture(scheduler, {.picture = 1, .client = "many"}, 1000);
  push_picture(scheduler, {.picture = 2, .client = "few"}, 10);
  int few = 0;
  for (int i = 0; i < 2; ++i) {
    for (const Tile& t : pull(scheduler, 10)) few += t.client == "few" ? 1 : 0;
  }
  EXPECT_EQ(few, 10);
  EXPECT_EQ(scheduler.depth(), 990U);
}

TEST(TileScheduler, SmallPictureIsDoneLongBeforeTheLargeOneInFrontOfIt) {
  TileScheduler scheduler(2000);
  push_picture(scheduler, {.picture = 1}, 1000);
  push_picture(scheduler, {.picture = 2}, 2);
  EXPECT_THAT(next(scheduler, 4), ElementsAre("1.0", "2.0", "1.1", "2.1"));
}

TEST(TileScheduler, ClientsWithBinsOfTheirOwnGetEqualPixels) {
  TileScheduler scheduler(4000);
  push_picture(scheduler, {.picture = 1, .side = 512, .client = "a"}, 1000);
  push_picture(scheduler, {.picture = 2, .side = 512, .client = "b"}, 1000);
  push_picture(scheduler, {.picture = 3, .side = 256, .client = "c"}, 2000);
  std::map<std::string, double> pixels;
  for (int i = 0; i < 90; ++i) {
    for (const Tile& t : pull(scheduler, 8)) pixels[t.client] += static_cast<double>(t.bin.pixels());
  }
  EXPECT_NEAR(pixels["a"] / pixels["c"], 1.0, 0.15);  // one turn in eight goes by age
  EXPECT_NEAR(pixels["b"] / pixels["c"], 1.0, 0.15);
}

TEST(TileScheduler, BatchHoldsOneBin) {
  TileScheduler scheduler(100);
  push(scheduler, {.picture = 1, .side = 512});
  push(scheduler, {.picture = 2, .side = 256});
  push(scheduler, {.picture = 3, .side = 512});
  EXPECT_THAT(next(scheduler, 8), ElementsAre("1.0", "3.0"));
  EXPECT_THAT(next(scheduler, 8), ElementsAre("2.0"));
}

TEST(TileScheduler, CapacityOfABatchIsAskedForPerBinAndCall) {
  TileScheduler scheduler(100);
  push_picture(scheduler, {.picture = 1, .side = 512}, 4);
  push_picture(scheduler, {.picture = 2, .side = 256}, 4);
  std::size_t large = 3;
  const PullRequest ask{[&](const Bin& bin) { return bin.width == 512 ? large : 4; }, milliseconds(0), [] { return true; }};
  EXPECT_EQ(scheduler.pull(ask, milliseconds(0))->tiles.size(), 3U);
  EXPECT_EQ(scheduler.pull(ask, milliseconds(0))->bin.width, 256);
  large = 1;
  EXPECT_EQ(scheduler.pull(ask, milliseconds(0))->tiles.size(), 1U);
}

TEST(TileScheduler, FullBinGoesBeforeABetterOneThatIsNotFull) {
  TileScheduler scheduler(100);
  push(scheduler, {.picture = 1, .priority = 5, .side = 256});
  push_picture(scheduler, {.picture = 2}, 4);
  EXPECT_THAT(next(scheduler, 4), ElementsAre("2.0", "2.1", "2.2", "2.3"));
  EXPECT_THAT(next(scheduler, 4), ElementsAre("1.0"));
}

TEST(TileScheduler, BetterBinIsPassedOverABoundedNumberOfTimes) {
  TileScheduler scheduler(1000);
  push_picture(scheduler, {.picture = 2}, 200);
  push(scheduler, {.picture = 3, .priority = 5, .side = 256});
  int passed = 0;
  while (names(pull(scheduler, 4)).front() != "3.0") ++passed;
  EXPECT_EQ(passed, TileScheduler::kMostPassedOver + 1);  // one of them was the turn of the oldest picture
}

TEST(TileScheduler, NothingStarvesUnderAnEndlessStreamOfHigherPriority) {
  TileScheduler scheduler(1000);
  constexpr int kWaiting = 12;
  for (int i = 0; i < kWaiting; ++i)
    push(scheduler, {.picture = static_cast<std::uint64_t>(i + 1), .side = i % 2 == 0 ? 512 : 256});
  std::uint64_t ticket = 100;
  std::map<std::uint64_t, int> left_after;
  for (int batch = 1; batch <= TileScheduler::kAgedTurn * kWaiting; ++batch) {
    while (scheduler.depth() < 64) push(scheduler, {.picture = ++ticket, .priority = 9});
    for (const Tile& t : pull(scheduler, 4)) left_after[t.picture] = batch;
  }
  for (int i = 0; i < kWaiting; ++i) {
    const auto left = left_after.find(static_cast<std::uint64_t>(i + 1));
    ASSERT_NE(left, left_after.end()) << "tile " << i;
    EXPECT_LE(left->second, TileScheduler::kAgedTurn * (i + 1));
  }
}

TEST(TileScheduler, TurnOfTheOldestPictureTakesItsOtherTilesAlong) {
  TileScheduler scheduler(1000);
  push_picture(scheduler, {.picture = 1}, 3);
  push_picture(scheduler, {.picture = 2, .priority = 9}, 100);
  for (int i = 1; i < TileScheduler::kAgedTurn; ++i) EXPECT_THAT(next(scheduler, 4), testing::Not(Contains("1.0")));
  EXPECT_THAT(next(scheduler, 4), ElementsAre("1.0", "1.1", "1.2", "2.28"));
}

TEST(TileScheduler, TilesPutBackGoBeforeAllOthersOfTheirRank) {
  TileScheduler scheduler(6);
  push_picture(scheduler, {.picture = 1}, 6);
  auto tiles = pull(scheduler, 2);
  push_picture(scheduler, {.picture = 2, .priority = 1}, 2);
  scheduler.put_back(std::move(tiles));  // beyond the capacity, and does not wait
  EXPECT_EQ(scheduler.depth(), 8U);
  EXPECT_THAT(next(scheduler, 5), ElementsAre("2.0", "2.1", "1.0", "1.1", "1.2"));
}

TEST(TileScheduler, TilesArePutBackAfterCloseToo) {
  TileScheduler scheduler(10);
  push_picture(scheduler, {.picture = 1}, 2);
  scheduler.close();
  auto tiles = pull(scheduler, 8);
  EXPECT_TRUE(scheduler.is_drained());
  scheduler.put_back(std::move(tiles));
  EXPECT_FALSE(scheduler.is_drained());
  EXPECT_THAT(next(scheduler, 8), ElementsAre("1.0", "1.1"));
}

TEST(TileScheduler, UnderfullBatchWaitsForCompanyAFullOneDoesNot) {
  TileScheduler scheduler(100);
  push(scheduler, {.picture = 1});
  PullRequest patient = request(2);
  patient.max_wait = minutes(5);
  auto pulled = std::async(std::launch::async, [&] { return scheduler.pull(patient, minutes(10)); });
  push(scheduler, {.picture = 2});
  const auto batch = pulled.get();  // would take five minutes if the second tile did not complete it
  ASSERT_TRUE(batch);
  EXPECT_EQ(batch->tiles.size(), 2U);
}

TEST(TileScheduler, BusyDeviceWaitsUntilABatchIsFullOrItIsIdle) {
  TileScheduler scheduler(100);
  push(scheduler, {.picture = 1});
  EXPECT_THAT(next(scheduler, 2, false), IsEmpty());
  push(scheduler, {.picture = 2});
  EXPECT_THAT(next(scheduler, 2, false), ElementsAre("1.0", "2.0"));
}

TEST(TileScheduler, KickTellsThatTheDeviceBecameIdle) {
  TileScheduler scheduler(100);
  push(scheduler, {.picture = 1});
  std::atomic<bool> is_idle = false;
  std::promise<void> asked;
  std::once_flag once;
  PullRequest ask = request(2);
  ask.is_idle = [&] {
    std::call_once(once, [&] { asked.set_value(); });
    return is_idle.load();
  };
  auto pulled = std::async(std::launch::async, [&] { return scheduler.pull(ask, minutes(10)); });
  asked.get_future().wait();
  is_idle = true;
  scheduler.kick();
  EXPECT_EQ(pulled.get()->tiles.size(), 1U);  // would take ten minutes
}

TEST(TileScheduler, PreviewIsHandedToABusyDeviceAtOnce) {
  TileScheduler scheduler(100);
  auto pulled = std::async(std::launch::async, [&] { return scheduler.pull(request(8, false), minutes(10)); });
  push(scheduler, {.picture = 1});
  push(scheduler, {.picture = 2, .preview = true});
  EXPECT_EQ(names(pulled.get()->tiles).front(), "2.0");
}

TEST(TileScheduler, PullEndsAtItsLimitWhenThereIsNothing) {
  TileScheduler scheduler(100);
  EXPECT_FALSE(scheduler.pull(request(4), milliseconds(1)));
  EXPECT_FALSE(scheduler.is_drained());
}

TEST(TileScheduler, AbandonedTilesAreDroppedAndTheirPicturesFreed) {
  TileScheduler scheduler(100);
  auto owner = std::make_shared<Owner>();
  const std::weak_ptr<Owner> alive = owner;
  push_picture(scheduler, {.picture = 1, .owner = owner}, 3);
  push(scheduler, {.picture = 2});
  owner->abandoned = true;
  owner.reset();
  scheduler.drop_abandoned();
  EXPECT_TRUE(alive.expired());
  EXPECT_EQ(scheduler.depth(), 1U);
  EXPECT_EQ(scheduler.bytes(), Bytes{4 * 4 * 3});
  EXPECT_THAT(next(scheduler, 4), ElementsAre("2.0"));
}

TEST(TileScheduler, AbandonedTilesAreNeverHandedOut) {
  TileScheduler scheduler(100);
  auto owner = std::make_shared<Owner>();
  push_picture(scheduler, {.picture = 1, .owner = owner}, 5);
  push(scheduler, {.picture = 2});
  owner->abandoned = true;
  EXPECT_THAT(next(scheduler, 2), ElementsAre("2.0"));
  EXPECT_THAT(next(scheduler, 2), IsEmpty());
  EXPECT_EQ(scheduler.depth(), 0U);
}

TEST(TileScheduler, FullSchedulerHoldsFullPassesButNeverPreviews) {
  TileScheduler scheduler(1);
  push(scheduler, {.picture = 1});
  push(scheduler, {.picture = 2, .preview = true});
  auto held = std::async(std::launch::async, [&] { return scheduler.push(tile({.picture = 1, .index = 1})); });
  EXPECT_THAT(next(scheduler, 4), ElementsAre("2.0", "1.0"));
  EXPECT_TRUE(held.get());
  EXPECT_THAT(next(scheduler, 2), ElementsAre("1.1"));
}

TEST(TileScheduler, ClosedSchedulerHandsOutWhatIsLeftWithoutWaiting) {
  TileScheduler scheduler(100);
  push(scheduler, {.picture = 1});
  scheduler.close();
  EXPECT_FALSE(scheduler.push(tile({.picture = 2})));
  EXPECT_THAT(next(scheduler, 4, false), ElementsAre("1.0"));
  EXPECT_FALSE(scheduler.pull(request(4), minutes(10)));
  EXPECT_TRUE(scheduler.is_drained());
}

TEST(TileScheduler, SharesTellWhatEachClientGotAndWhoWaits) {
  TileScheduler scheduler(100);
  push_picture(scheduler, {.picture = 1, .client = "a"}, 3);
  push_picture(scheduler, {.picture = 2, .client = "b"}, 1);
  (void)pull(scheduler, 3);
  const auto shares = scheduler.shares();
  ASSERT_EQ(shares.size(), 2U);
  EXPECT_NEAR(shares.at("a").pixels, 2.0 * 512 * 512, 0.1 * 512 * 512);
  EXPECT_NEAR(shares.at("b").pixels, 1.0 * 512 * 512, 0.1 * 512 * 512);
  EXPECT_TRUE(shares.at("a").is_waiting);
  EXPECT_FALSE(shares.at("b").is_waiting);
}

/// Random work with four producers and three devices that give some tiles back; batches are checked on the way.
TEST(TileScheduler, EveryTileComesOutExactlyOnce) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  constexpr int kProducers = 4;
  constexpr int kPictures = 60;
  TileScheduler scheduler(32);
  std::atomic<int> pushed = 0;
  std::atomic<int> mixed = 0;
  std::atomic<int> oversized = 0;
  std::mutex mutex;
  std::multiset<std::string> seen;
  {
    std::vector<std::jthread> devices;
    for (unsigned d = 0; d < 3; ++d) {
      devices.emplace_back([&, d] {
        std::mt19937 random(seed + 100 + d);
        while (!scheduler.is_drained()) {
          const std::size_t most = 1 + random() % 6;
          auto batch = scheduler.pull(request(most, random() % 2 == 0), milliseconds(1));
          if (!batch) continue;
          oversized += batch->tiles.size() > most ? 1 : 0;
          std::vector<Tile> again;
          for (Tile& t : batch->tiles) {
            mixed += t.bin == batch->bin ? 0 : 1;
            if (t.failures++ == 0 && random() % 8 == 0) {
              again.push_back(std::move(t));
            } else {
              const std::lock_guard lock(mutex);
              seen.insert(std::to_string(t.picture) + "." + std::to_string(t.index));
            }
          }
          scheduler.put_back(std::move(again));
        }
      });
    }
    {
      std::vector<std::jthread> producers;
      for (unsigned p = 0; p < kProducers; ++p) {
        producers.emplace_back([&, p] {
          std::mt19937 random(seed + p);
          for (unsigned picture = p; picture < kPictures; picture += kProducers) {
            Ask ask{.picture = picture};
            ask.priority = static_cast<int>(random() % 3);
            ask.preview = random() % 8 == 0;
            ask.side = 128 << (random() % 4);
            ask.client = std::string(1, static_cast<char>('a' + random() % 5));
            if (random() % 4 == 0) ask.deadline = at(static_cast<int>(random() % 5));
            const int tiles = 1 + static_cast<int>(random() % 40);
            push_picture(scheduler, ask, tiles);
            pushed += tiles;
          }
        });
      }
    }
    scheduler.close();
  }
  while (const auto batch = scheduler.pull(request(8), milliseconds(0))) {  // what the last device to look put back
    for (const Tile& t : batch->tiles) seen.insert(names({t}).front());
  }
  EXPECT_EQ(seen.size(), static_cast<std::size_t>(pushed));
  EXPECT_EQ(std::set<std::string>(seen.begin(), seen.end()).size(), seen.size());
  EXPECT_EQ(mixed, 0);
  EXPECT_EQ(oversized, 0);
  EXPECT_EQ(scheduler.bytes(), Bytes{0});
  EXPECT_EQ(scheduler.depth(), 0U);
}

/// The rules against a slow check of each batch: full whenever some bin is, but for previews, the aged turn and who was passed
/// over.
TEST(TileScheduler, BatchesAreUnderfullOnlyWhenNoBinIsFullOrByTheBoundedExceptions) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  TileScheduler scheduler(10'000);
  std::map<int, int> waiting;  // by side
  constexpr int kMost = 4;
  constexpr int kBatches = 2000;
  int exceptions = 0;
  for (int batch = 0; batch < kBatches; ++batch) {
    for (std::uint64_t i = random() % 8; i > 0; --i) {
      const int side = 128 << (random() % 3);
      push(scheduler, {.picture = random() % 50,
                       .priority = static_cast<int>(random() % 2),
                       .side = side,
                       .client = std::string(1, static_cast<char>('a' + random() % 3))});
      ++waiting[side];
    }
    const bool some_bin_is_full = std::any_of(waiting.begin(), waiting.end(), [](const auto& w) { return w.second >= kMost; });
    const auto tiles = pull(scheduler, kMost);
    if (!tiles.empty()) waiting[tiles.front().bin.width] -= static_cast<int>(tiles.size());
    if (some_bin_is_full && tiles.size() < kMost) ++exceptions;
  }
  EXPECT_LE(exceptions, kBatches / TileScheduler::kAgedTurn + kBatches / TileScheduler::kMostPassedOver);
}

}  // namespace
}  // namespace retouchd::queue
