#include "queue/memory_ledger.h"

#include <gtest/gtest.h>

#include <future>
#include <thread>
#include <vector>

namespace retouchd::queue {
namespace {

TEST(MemoryLedger, ReservationsAreGivenBackWhenTheyGo) {
  MemoryLedger ledger(Bytes{100});
  {
    const auto first = ledger.reserve(Bytes{60});
    ASSERT_TRUE(first);
    EXPECT_EQ(first->bytes(), Bytes{60});
    EXPECT_EQ(ledger.reserved(), Bytes{60});
  }
  EXPECT_EQ(ledger.reserved(), Bytes{0});
}

TEST(MemoryLedger, MoreThanTheCapacityIsRefusedAtOnce) {
  MemoryLedger ledger(Bytes{100});
  EXPECT_FALSE(ledger.fits(Bytes{101}));
  EXPECT_FALSE(ledger.reserve(Bytes{101}));
  EXPECT_TRUE(ledger.reserve(Bytes{100}));
}

TEST(MemoryLedger, WaitsUntilEnoughIsFree) {
  MemoryLedger ledger(Bytes{100});
  auto first = ledger.reserve(Bytes{80});
  auto second = std::async(std::launch::async, [&] { return ledger.reserve(Bytes{50}); });
  while (!ledger.is_waited_for()) std::this_thread::yield();
  EXPECT_EQ(ledger.reserved(), Bytes{80});
  first.reset();
  const auto granted = second.get();
  ASSERT_TRUE(granted);
  EXPECT_EQ(ledger.reserved(), Bytes{50});
}

TEST(MemoryLedger, SmallRequestsDoNotOvertakeALargeOne) {
  MemoryLedger ledger(Bytes{100});
  auto running = ledger.reserve(Bytes{60});
  auto large = std::async(std::launch::async, [&] { return ledger.reserve(Bytes{90}); });
  while (!ledger.is_waited_for()) std::this_thread::yield();
  // Would fit beside the running one, but the large one asked first.
  std::promise<void> asked;
  auto small = std::async(std::launch::async, [&] {
    asked.set_value();
    return ledger.reserve(Bytes{20});
  });
  asked.get_future().wait();
  EXPECT_EQ(ledger.reserved(), Bytes{60});
  running.reset();
  auto granted_large = large.get();
  ASSERT_TRUE(granted_large);
  EXPECT_EQ(ledger.reserved(), Bytes{90});
  granted_large.reset();
  EXPECT_TRUE(small.get());
}

TEST(MemoryLedger, CloseWakesThoseWhoWait) {
  MemoryLedger ledger(Bytes{10});
  const auto all = ledger.reserve(Bytes{10});
  auto waiting = std::async(std::launch::async, [&] { return ledger.reserve(Bytes{1}).has_value(); });
  ledger.close();
  EXPECT_FALSE(waiting.get());
}

TEST(MemoryLedger, NeverExceedsItsCapacityUnderContention) {
  MemoryLedger ledger(Bytes{1000});
  std::atomic<bool> exceeded = false;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&, i] {
        for (std::uint64_t n = 0; n < 500; ++n) {
          const auto held = ledger.reserve(Bytes{100 + (n * 37 + static_cast<std::uint64_t>(i) * 101) % 500});
          if (ledger.reserved() > ledger.capacity()) exceeded = true;
        }
      });
    }
  }
  EXPECT_FALSE(exceeded);
  EXPECT_EQ(ledger.reserved(), Bytes{0});
}

}  // namespace
}  // namespace retouchd::queue
