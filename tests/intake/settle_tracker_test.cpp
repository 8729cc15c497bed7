#include "intake/settle_tracker.h"

#include <gtest/gtest.h>

#include "tests/hand_clock.h"

namespace retouchd::intake {
namespace {

using namespace std::chrono_literals;
using Evidence = SettleTracker::Evidence;

class SettleTrackerTest : public testing::Test {
 protected:
  static FileSnapshot sized(std::uint64_t size, std::int64_t ctime_ns = 0) {
    FileSnapshot snapshot;
    snapshot.identity.size = size;
    snapshot.ctime_ns = ctime_ns;
    return snapshot;
  }

  HandClock clock_;
  SettleTracker tracker_{{2'000ms, 5'000ms}, 3, clock_};
};

TEST_F(SettleTrackerTest, AClosedFileIsDueAfterTheShortWait) {
  ASSERT_TRUE(tracker_.observe("a.jpg", sized(10), Evidence::kClosed));
  clock_.advance(1'999ms);
  EXPECT_EQ(tracker_.due(), std::nullopt);
  clock_.advance(1ms);
  ASSERT_EQ(tracker_.due(), "a.jpg");
  EXPECT_TRUE(tracker_.confirm("a.jpg", sized(10)).complete);
  EXPECT_EQ(tracker_.size(), 0U);
}

TEST_F(SettleTrackerTest, AFoundFileIsDueAfterTheLongWait) {
  ASSERT_TRUE(tracker_.observe("a.jpg", sized(10), Evidence::kFound));
  clock_.advance(4'999ms);
  EXPECT_EQ(tracker_.due(), std::nullopt);
  clock_.advance(1ms);
  EXPECT_EQ(tracker_.due(), "a.jpg");
}

TEST_F(SettleTrackerTest, AnOpenFileOutlastsPausesOfItsWriter) {
  ASSERT_TRUE(tracker_.observe("a.jpg", sized(10), Evidence::kOpen));
  // A scan that sees the same state proves nothing.
  clock_.advance(10s);
  ASSERT_TRUE(tracker_.observe("a.jpg", sized(10), Evidence::kFound));
  clock_.advance(39'999ms);
  EXPECT_EQ(tracker_.due(), std::nullopt);
  clock_.advance(1ms);
  EXPECT_EQ(tracker_.due(), "a.jpg");
}

TEST_F(SettleTrackerTest, AGrowingFileIsNeverComplete) {
  ASSERT_TRUE(tracker_.observe("a.jpg", sized(1), Evidence::kFound));
  for (std::uint64_t size = 2; size < 100; ++size) {
    clock_.advance(5s);
    ASSERT_EQ(tracker_.due(), "a.jpg");
    EXPECT_FALSE(tracker_.confirm("a.jpg", sized(size)).complete);
    EXPECT_EQ(tracker_.due(), std::nullopt);
  }
  clock_.advance(5s);
  EXPECT_TRUE(tracker_.confirm("a.jpg", sized(99)).complete);
}

TEST_F(SettleTrackerTest, AChangeThatOnlyCtimeShowsBeginsTheWaitAnew) {
  ASSERT_TRUE(tracker_.observe("a.jpg", sized(10, 1), Evidence::kFound));
  clock_.advance(5s);
  EXPECT_FALSE(tracker_.confirm("a.jpg", sized(10, 2)).complete);
}

TEST_F(SettleTrackerTest, AFileReopenedAfterItWasClosedCountsAsFound) {
  ASSERT_TRUE(tracker_.observe("a.jpg", sized(10), Evidence::kClosed));
  clock_.advance(2s);
  EXPECT_FALSE(tracker_.confirm("a.jpg", sized(20)).complete);
  clock_.advance(2s);
  EXPECT_EQ(tracker_.due(), std::nullopt);
  clock_.advance(3s);
  EXPECT_TRUE(tracker_.confirm("a.jpg", sized(20)).complete);
}

TEST_F(SettleTrackerTest, ASecondCloseBeginsTheWaitAnew) {
  ASSERT_TRUE(tracker_.observe("a.jpg", sized(10), Evidence::kClosed));
  clock_.advance(1'500ms);
  ASSERT_TRUE(tracker_.observe("a.jpg", sized(10), Evidence::kClosed));
  clock_.advance(1'999ms);
  EXPECT_EQ(tracker_.due(), std::nullopt);
  clock_.advance(1ms);
  EXPECT_EQ(tracker_.due(), "a.jpg");
}

TEST_F(SettleTrackerTest, AnEmptyFileIsGivenMoreTime) {
  ASSERT_TRUE(tracker_.observe("a.jpg", sized(0), Evidence::kClosed));
  clock_.advance(14'999ms);
  EXPECT_EQ(tracker_.due(), std::nullopt);
  clock_.advance(1ms);
  EXPECT_TRUE(tracker_.confirm("a.jpg", sized(0)).complete);
}

TEST_F(SettleTrackerTest, LostNotificationsMakeOpenFilesFoundOnes) {
  ASSERT_TRUE(tracker_.observe("a.jpg", sized(10), Evidence::kOpen));
  tracker_.doubt_open_files();
  clock_.advance(5s);
  EXPECT_EQ(tracker_.due(), "a.jpg");
}

TEST_F(SettleTrackerTest, WarnsOnceOfAFileThatNeverComesToRest) {
  ASSERT_TRUE(tracker_.observe("a.jpg", sized(1), Evidence::kFound));
  int warnings = 0;
  for (std::uint64_t size = 2; size < 300; ++size) {
    clock_.advance(5s);
    warnings += tracker_.confirm("a.jpg", sized(size)).overdue ? 1 : 0;
  }
  EXPECT_EQ(warnings, 1);
}

TEST_F(SettleTrackerTest, HoldsNoMoreThanItsCapacity) {
  for (const char* name : {"a", "b", "c"}) ASSERT_TRUE(tracker_.observe(name, sized(1), Evidence::kFound));
  EXPECT_TRUE(tracker_.full());
  EXPECT_FALSE(tracker_.observe("d", sized(1), Evidence::kFound));
  EXPECT_TRUE(tracker_.observe("a", sized(2), Evidence::kFound));
  tracker_.forget("b");
  EXPECT_TRUE(tracker_.observe("d", sized(1), Evidence::kFound));
  tracker_.clear();
  EXPECT_EQ(tracker_.size(), 0U);
  EXPECT_EQ(tracker_.next_due(), std::nullopt);
}

}  // namespace
}  // namespace retouchd::intake
