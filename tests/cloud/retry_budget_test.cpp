#include "cloud/retry_budget.h"

#include <gtest/gtest.h>

#include "tests/hand_clock.h"

namespace retouchd::cloud {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

int take_all(RetryBudget& budget) {
  int taken = 0;
  while (budget.take()) ++taken;
  return taken;
}

TEST(RetryBudget, GivesTenPercentOfTheCalls) {
  HandClock clock;
  RetryBudget budget(clock);
  take_all(budget);
  int repeated = 0;
  for (int i = 0; i < 1'000; ++i) {
    budget.called();
    repeated += budget.take() ? 1 : 0;
  }
  EXPECT_GE(repeated, 99);
  EXPECT_LE(repeated, 100);
}

TEST(RetryBudget, GivesOneASecondBesides) {
  HandClock clock;
  RetryBudget budget(clock);
  take_all(budget);
  clock.advance(seconds(3));
  EXPECT_EQ(take_all(budget), 3);
}

TEST(RetryBudget, DoesNotGatherMoreThanItsMost) {
  HandClock clock;
  RetryBudget budget(clock);
  clock.advance(seconds(1'000));
  EXPECT_EQ(take_all(budget), static_cast<int>(RetryBudget::kMost));
}

TEST(Backoff, DoublesUpToTheLastWithJitter) {
  Backoff backoff(milliseconds(100), milliseconds(1'600), 7);
  double about = 100;
  for (int i = 0; i < 12; ++i) {
    const auto pause = static_cast<double>(backoff.next().count());
    EXPECT_GE(pause, 0.5 * about - 1);
    EXPECT_LE(pause, 1.5 * about);
    about = std::min(1'600.0, about * 2);
  }
  backoff.reset();
  EXPECT_LE(backoff.next(), milliseconds(150));
}

TEST(Backoff, DiffersBetweenClients) {
  Backoff one(seconds(100), seconds(100), 1);
  Backoff other(seconds(100), seconds(100), 2);
  EXPECT_NE(one.next(), other.next());
}

}  // namespace
}  // namespace retouchd::cloud
