#include "intake/pair_waits.h"

#include <gtest/gtest.h>

#include "tests/hand_clock.h"

namespace retouchd::intake {
namespace {

using namespace std::chrono_literals;

class PairWaitsTest : public testing::Test {
 protected:
  static FileSnapshot sized(std::uint64_t size) {
    FileSnapshot snapshot;
    snapshot.identity.size = size;
    return snapshot;
  }

  HandClock clock_;
  PairWaits waits_{60s, 2, clock_};
};

TEST_F(PairWaitsTest, APictureIsReleasedInTheStateInWhichItWaited) {
  ASSERT_TRUE(waits_.wait("a.jpg", sized(1)));
  EXPECT_TRUE(waits_.is_waiting("a.jpg", sized(1)));
  EXPECT_TRUE(waits_.release("a.jpg", sized(1)));
  EXPECT_FALSE(waits_.release("a.jpg", sized(1)));
  EXPECT_EQ(waits_.size(), 0U);
}

TEST_F(PairWaitsTest, AChangeVoidsTheWait) {
  ASSERT_TRUE(waits_.wait("a.jpg", sized(1)));
  EXPECT_FALSE(waits_.release("a.jpg", sized(2)));
  EXPECT_EQ(waits_.size(), 0U);
  EXPECT_EQ(waits_.next_due(), std::nullopt);
}

TEST_F(PairWaitsTest, PatienceEnds) {
  ASSERT_TRUE(waits_.wait("a.jpg", sized(1)));
  EXPECT_EQ(waits_.next_due(), clock_.steady_now() + 60s);
  clock_.advance(59s);
  ASSERT_TRUE(waits_.wait("a.jpg", sized(1)));  // seen once more: its time goes on
  EXPECT_FALSE(waits_.take_overdue());
  clock_.advance(1s);
  const auto overdue = waits_.take_overdue();
  ASSERT_TRUE(overdue);
  EXPECT_EQ(overdue->picture, "a.jpg");
  EXPECT_EQ(overdue->snapshot, sized(1));
  EXPECT_FALSE(waits_.take_overdue());
}

TEST_F(PairWaitsTest, AChangedPictureHasItsTimeAnew) {
  ASSERT_TRUE(waits_.wait("a.jpg", sized(1)));
  clock_.advance(59s);
  ASSERT_TRUE(waits_.wait("a.jpg", sized(2)));
  clock_.advance(59s);
  EXPECT_FALSE(waits_.take_overdue());
  EXPECT_EQ(waits_.size(), 1U);
}

TEST_F(PairWaitsTest, OnlySoManyWait) {
  ASSERT_TRUE(waits_.wait("a.jpg", sized(1)));
  ASSERT_TRUE(waits_.wait("b.jpg", sized(1)));
  EXPECT_TRUE(waits_.full());
  EXPECT_FALSE(waits_.wait("c.jpg", sized(1)));
  EXPECT_TRUE(waits_.wait("b.jpg", sized(2)));
}

TEST_F(PairWaitsTest, ACompanionIsCompleteInOneStateOnly) {
  EXPECT_FALSE(waits_.is_complete("a.depth.png", sized(1)));
  waits_.remember_complete("a.depth.png", sized(1));
  EXPECT_TRUE(waits_.is_complete("a.depth.png", sized(1)));
  EXPECT_FALSE(waits_.is_complete("a.depth.png", sized(2)));
  for (const char* name : {"b", "c", "d"}) waits_.remember_complete(name, sized(1));
  EXPECT_TRUE(waits_.is_complete("d", sized(1)));
  waits_.clear();
  EXPECT_FALSE(waits_.is_complete("d", sized(1)));
}

}  // namespace
}  // namespace retouchd::intake
