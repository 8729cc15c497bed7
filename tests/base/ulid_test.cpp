#include "base/ulid.h"

#include <gtest/gtest.h>

#include <chrono>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

namespace retouchd {
namespace {

UnixMillis at(std::int64_t ms) { return UnixMillis(std::chrono::milliseconds(ms)); }

TEST(Ulid, BeginsWithTheTime) {
  // The example of the specification.
  EXPECT_EQ(new_ulid(at(1469922850259)).substr(0, 10), "01ARZ3NDEK");
  EXPECT_EQ(new_ulid(at(0)).substr(0, 10), "0000000000");
  EXPECT_EQ(new_ulid(at((std::int64_t{1} << 48) - 1)).substr(0, 10), "7ZZZZZZZZZ");
}

TEST(Ulid, HasTwentySixCharactersOfCrockfordsAlphabet) {
  for (int i = 0; i < 1'000; ++i) {
    const std::string id = new_ulid(at(1'700'000'000'000 + i));
    EXPECT_EQ(id.size(), 26U);
    EXPECT_EQ(id.find_first_not_of("0123456789ABCDEFGHJKMNPQRSTVWXYZ"), std::string::npos) << id;
  }
}

TEST(Ulid, RisesWithinAMillisecond) {
  std::string last;
  for (int i = 0; i < 10'000; ++i) {
    const std::string id = new_ulid(at(1'700'000'000'000));
    EXPECT_LT(last, id);
    last = id;
  }
}

TEST(Ulid, IsNeverTheSameInTwoThreads) {
  std::mutex mutex;
  std::set<std::string> ids;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < 1'000; ++i) {
        const std::string id = new_ulid(at(1'700'000'000'000 + (i + thread) % 3));
        const std::lock_guard lock(mutex);
        ids.insert(id);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(ids.size(), 4'000U);
}

TEST(Ulid, DiffersWhenTheClockComesBackToAMoment) {
  const std::string first = new_ulid(at(1'700'000'000'000));
  (void)new_ulid(at(1'700'000'000'001));
  EXPECT_NE(new_ulid(at(1'700'000'000'000)), first);
}

}  // namespace
}  // namespace retouchd
