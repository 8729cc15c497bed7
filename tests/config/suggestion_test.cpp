#include "config/suggestion.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/nearest_name.h"

namespace retouchd::config {
namespace {

TEST(EditDistance, CountsInsertionsDeletionsReplacementsAndSwaps) {
  EXPECT_EQ(edit_distance("", ""), 0U);
  EXPECT_EQ(edit_distance("", "abc"), 3U);
  EXPECT_EQ(edit_distance("settle", "settle"), 0U);
  EXPECT_EQ(edit_distance("setle", "settle"), 1U);
  EXPECT_EQ(edit_distance("settlee", "settle"), 1U);
  EXPECT_EQ(edit_distance("sattle", "settle"), 1U);
  EXPECT_EQ(edit_distance("estlte", "settle"), 2U);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
}

TEST(EditDistance, IsTheSameBothWays) { EXPECT_EQ(edit_distance("outptu", "output"), edit_distance("output", "outptu")); }

TEST(Nearest, FindsWhatWasMeant) {
  const std::vector<std::string> known{"network", "memory", "device", "retry"};
  EXPECT_EQ(nearest("netwrok", known), "network");
  EXPECT_EQ(nearest("memori", known), "memory");
  EXPECT_EQ(nearest("retries", known), "retry");
}

TEST(Nearest, SaysNothingWhenNothingIsNear) {
  const std::vector<std::string> known{"network", "memory", "device", "retry"};
  EXPECT_EQ(nearest("frobnicate", known), "");
  EXPECT_EQ(nearest("x", known), "");
  EXPECT_EQ(nearest("", known), "");
  EXPECT_EQ(nearest(std::string(65, 'n'), known), "");
  EXPECT_EQ(nearest("network", {}), "");
}

}  // namespace
}  // namespace retouchd::config
