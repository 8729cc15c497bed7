#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <semaphore>

#include "store_fixture.h"

namespace retouchd::queue {
namespace {

#ifdef __SANITIZE_THREAD__
constexpr int kJobs = 5'000;
#else
constexpr int kJobs = 100'000;
#endif

/// Resident memory of this process in bytes.
std::int64_t resident() {
  std::ifstream statm("/proc/self/statm");
  std::int64_t pages = 0, resident_pages = 0;
  statm >> pages >> resident_pages;
  return resident_pages * ::sysconf(_SC_PAGESIZE);
}

class StoreScaleTest : public StoreTest {};

TEST_F(StoreScaleTest, HoldsAHundredThousandJobsOutsideMemory) {
  constexpr int kUnanswered = 1024;
  std::counting_semaphore<kUnanswered> room(kUnanswered);
  std::atomic<int> accepted{0};
  const auto before = resident();
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < kJobs; ++i) {
    room.acquire();
    store_->accept(request("job" + std::to_string(i)), [&](const Result<JobStore::Accepted>& result) {
      accepted += result ? 1 : 0;
      room.release();
    });
  }
  for (int i = 0; i < kUnanswered; ++i) room.acquire();
  const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start;
  const auto grown = resident() - before;
  EXPECT_EQ(accepted, kJobs);
  EXPECT_EQ(count(JobState::kQueued), kJobs);
  open();  // closing has moved the log into the file
  EXPECT_EQ(count(JobState::kQueued), kJobs);
  std::cout << static_cast<int>(kJobs / spent.count()) << " durable jobs a second, " << std::filesystem::file_size(file_) / kJobs
            << " bytes on disk and " << grown / kJobs << " in memory for each\n";
#ifndef __SANITIZE_THREAD__
  EXPECT_LT(grown, 48 << 20);  // SQLite's caches and what waits for an answer; a list of the jobs would take more
#endif

  EXPECT_EQ(store_->next_ready(), clock_.now());
  const auto claimed = claim(16);
  ASSERT_EQ(claimed.size(), 16U);
  EXPECT_EQ(claimed.front().request.key, "job0");
  EXPECT_EQ(claimed.back().request.key, "job15");
}

}  // namespace
}  // namespace retouchd::queue
