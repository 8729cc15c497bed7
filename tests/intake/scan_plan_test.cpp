#include "intake/scan_plan.h"

#include <gtest/gtest.h>

namespace retouchd::intake {
namespace {

TEST(ScanPlan, HandsOutFoldersInOrder) {
  ScanPlan plan;
  plan.add("a");
  plan.add("b");
  EXPECT_EQ(plan.take(), "a");
  EXPECT_EQ(plan.take(), "b");
  EXPECT_EQ(plan.take(), std::nullopt);
  EXPECT_TRUE(plan.empty());
}

TEST(ScanPlan, OneScanOfAllStandsForAllOthers) {
  ScanPlan plan;
  plan.add("a");
  plan.add_all();
  plan.add("b");
  EXPECT_EQ(plan.take(), "");
  EXPECT_TRUE(plan.empty());
}

TEST(ScanPlan, TooManyFoldersBecomeOneScanOfAll) {
  ScanPlan plan;
  for (std::size_t i = 0; i <= ScanPlan::kMaxFolders; ++i) plan.add(std::to_string(i));
  EXPECT_EQ(plan.take(), "");
  EXPECT_TRUE(plan.empty());
}

}  // namespace
}  // namespace retouchd::intake
