#include "inference/restormer/attention_windows.h"

#include <gtest/gtest.h>

namespace retouchd::inference {
namespace {

TEST(AttentionWindows, OneCoversTheMapWithoutASide) {
  const auto windows = attention_windows(30, 50, std::nullopt);
  ASSERT_EQ(windows.size(), 1U);
  EXPECT_EQ(windows[0].bottom(), 30);
  EXPECT_EQ(windows[0].right(), 50);
}

TEST(AttentionWindows, AreClampedToSmallMaps) {
  const auto windows = attention_windows(30, 100, 64);
  ASSERT_EQ(windows.size(), 2U);
  EXPECT_EQ(windows[0].height, 30);
  EXPECT_EQ(windows[0].width, 64);
  EXPECT_EQ(windows[1].left, 36);
}

TEST(AttentionWindows, StandOnEqualStridesAndEndAtTheBorder) {
  const auto windows = attention_windows(384, 1000, 384);  // ceil(616 / 2) = 308
  ASSERT_EQ(windows.size(), 3U);
  EXPECT_EQ(windows[1].left, 308);
  EXPECT_EQ(windows[2].left, 616);
}

TEST(AttentionWindows, CoverEveryPixelOfEverySize) {
  for (std::int64_t side = 1; side <= 9; ++side) {
    for (std::int64_t length = 1; length <= 60; ++length) {
      const auto windows = attention_windows(1, length, side);
      EXPECT_LE(static_cast<std::int64_t>(windows.size()), (length + side - 1) / side);
      std::int64_t covered = 0;
      for (const AttentionWindow& window : windows) {
        EXPECT_LE(window.left, covered) << "a gap at " << covered << " of " << length << ", side " << side;
        EXPECT_GT(window.right(), covered);
        covered = window.right();
      }
      EXPECT_EQ(covered, length);
    }
  }
}

}  // namespace
}  // namespace retouchd::inference
