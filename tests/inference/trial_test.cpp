#include "inference/trial.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace retouchd::inference {
namespace {

/// Calls that take what is written down, the last one for ever.
std::function<double()> taking(std::vector<double> seconds, std::vector<char>& order, char name) {
  return [seconds = std::move(seconds), &order, name, next = std::size_t{0}]() mutable {
    order.push_back(name);
    const double taken = seconds[next];
    if (next + 1 < seconds.size()) ++next;
    return taken;
  };
}

TEST(Trial, TakesTurnsAndLeavesTheFirstCallsOut) {
  std::vector<char> order;
  const Trial trial = measure_by_turns(taking({0.9, 0.02}, order, 'a'), taking({0.9, 0.01}, order, 'b'), 1);
  EXPECT_DOUBLE_EQ(trial.first, 0.02);
  EXPECT_DOUBLE_EQ(trial.second, 0.01);
  EXPECT_EQ(trial.rounds, 9);
  ASSERT_EQ(order.size(), 20U);
  for (std::size_t i = 0; i < order.size(); ++i) EXPECT_EQ(order[i], i % 2 == 0 ? 'a' : 'b');
}

TEST(Trial, OneSlowCallDoesNotDecide) {
  std::vector<char> order;
  const Trial trial =
      measure_by_turns(taking({0.01, 0.01}, order, 'a'), taking({0.01, 0.008, 0.5, 0.008, 0.008, 0.008}, order, 'b'), 10);
  EXPECT_TRUE(trial.second_is_faster());
}

TEST(Trial, EndsWhenItsTimeIsSpent) {
  std::vector<char> order;
  EXPECT_EQ(measure_by_turns(taking({0.4}, order, 'a'), taking({0.4}, order, 'b'), 2).rounds, 3);
}

TEST(Trial, WhereOneCallTakesLongerThanAllOfItTheFirstCallsCount) {
  std::vector<char> order;
  const Trial trial = measure_by_turns(taking({20}, order, 'a'), taking({10}, order, 'b'), 2);
  EXPECT_EQ(order.size(), 2U);
  EXPECT_DOUBLE_EQ(trial.first, 20);
  EXPECT_DOUBLE_EQ(trial.second, 10);
}

TEST(Trial, ThreePercentAreNoDifference) {
  EXPECT_FALSE((Trial{1.0, 0.975, 9}).second_is_faster());
  EXPECT_TRUE((Trial{1.0, 0.965, 9}).second_is_faster());
  EXPECT_FALSE(Trial{}.second_is_faster());
}

}  // namespace
}  // namespace retouchd::inference
