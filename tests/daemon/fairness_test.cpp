#include "daemon/fairness.h"

#include <gmock/gmock.h>

namespace retouchd::daemon {
namespace {

TEST(Fairness, IsOneWithoutOrWithASingleClient) {
  EXPECT_EQ(fairness_index({}), 1);
  EXPECT_EQ(fairness_index({{"a", 5e6, true}}), 1);
  EXPECT_EQ(fairness_index({{"a", 0, true}}), 1);
}

TEST(Fairness, IsOneWhileNobodyGotAnything) { EXPECT_EQ(fairness_index({{"a", 0, true}, {"b", 0, true}}), 1); }

TEST(Fairness, IsJainsIndexOfThoseThatWait) {
  EXPECT_DOUBLE_EQ(fairness_index({{"a", 3e6, true}, {"b", 3e6, true}, {"c", 3e6, true}}), 1);
  EXPECT_DOUBLE_EQ(fairness_index({{"a", 1e6, true}, {"b", 0, true}}), 0.5);
  EXPECT_DOUBLE_EQ(fairness_index({{"a", 1, true}, {"b", 2, true}, {"c", 3, true}}), 36.0 / (3 * 14));
  EXPECT_DOUBLE_EQ(fairness_index({{"a", 9, true}, {"b", 0, true}, {"c", 0, true}, {"d", 0, true}}), 0.25);
}

TEST(Fairness, AClientThatAskedForLittleAndGotItIsNotTreatedUnfairly) {
  EXPECT_DOUBLE_EQ(fairness_index({{"backlog", 900e6, true}, {"one picture", 1e6, false}}), 1);
  EXPECT_DOUBLE_EQ(fairness_index({{"all done", 900e6, false}, {"waits", 0, true}}), 0.5) << "but one that waits may be";
  EXPECT_DOUBLE_EQ(fairness_index({{"has all", 9, true}, {"waits", 0, true}, {"a", 1, false}, {"b", 1, false}}), 0.5)
      << "however many others were content";
  EXPECT_EQ(fairness_index({{"a", 9, false}, {"b", 1, false}}), 1) << "nobody waits";
}

TEST(Fairness, DoesNotDependOnHowMuchWasDone) {
  for (const double scale : {1e-9, 1.0, 1e15}) {
    EXPECT_NEAR(fairness_index({{"a", scale, true}, {"b", 3 * scale, true}}), 0.8, 1e-12);
  }
}

TEST(Fairness, ThoseThatWaitAreToldFirst) {
  const auto told = clients_to_tell({{"small", 1, false}, {"large", 9, false}, {"waits", 0, true}});
  ASSERT_EQ(told.size(), 3u);
  EXPECT_EQ(told[0].name, "waits");
  EXPECT_EQ(told[1].name, "large");
  EXPECT_EQ(told[2].name, "small");
  EXPECT_EQ(clients_to_tell(std::vector<ClientSnapshot>(1'000)).size(), kMostClientsTold);
}

}  // namespace
}  // namespace retouchd::daemon
