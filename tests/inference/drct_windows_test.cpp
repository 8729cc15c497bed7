#include "inference/drct/drct_windows.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

namespace retouchd::inference {
namespace {

TEST(DrctWindows, CuttingAndJoiningIsTheIdentity) {
  const at::Tensor map = at::rand({2, 12, 20, 3});
  const at::Tensor windows = cut_windows(map, 4);
  ASSERT_EQ(windows.sizes(), at::IntArrayRef({2 * 3 * 5, 16, 3}));
  EXPECT_TRUE(windows[1][5].equal(map[0][1][4 + 1]));  // the second window's second row and column
  EXPECT_TRUE(join_windows(windows, 4, 12, 20).equal(map));
}

TEST(DrctWindows, ShiftedWindowsHoldEveryPixelOnce) {
  const ShiftedWindows shifted = shift_windows(2, 12, 20, 4, 2, at::kCPU);
  EXPECT_TRUE(std::get<0>(shifted.pixels.flatten().sort()).equal(at::arange(2 * 12 * 20, at::kLong)));
}

TEST(DrctWindows, KindsAreSortedAndCounted) {
  // 3 x 5 windows a picture: 2 x 4 inside, 2 in the last column, 4 in the last row, 1 in the corner
  const ShiftedWindows shifted = shift_windows(2, 12, 20, 4, 2, at::kCPU);
  EXPECT_EQ(shifted.ends, (std::array<std::int64_t, 4>{16, 20, 28, 30}));
  const auto runs = shifted.runs(15, 21);
  ASSERT_EQ(runs.size(), 3U);
  EXPECT_EQ(runs[0].kind, 0U);
  EXPECT_EQ(runs[0].end, 1);
  EXPECT_EQ(runs[1].kind, 1U);
  EXPECT_EQ(runs[1].end, 5);
  EXPECT_EQ(runs[2].kind, 2U);
  EXPECT_EQ(runs[2].end, 6);
}

TEST(DrctWindows, ASingleWindowIsACorner) {
  const ShiftedWindows shifted = shift_windows(1, 4, 4, 4, 2, at::kCPU);
  EXPECT_EQ(shifted.ends, (std::array<std::int64_t, 4>{0, 0, 0, 1}));
  EXPECT_EQ(shifted.pixels[0][0].item<std::int64_t>(), 2 * 4 + 2);
}

TEST(DrctWindows, MasksKeepTheSidesOfASeamApart) {
  const at::Tensor masks = window_masks(4, 2);
  ASSERT_EQ(masks.sizes(), at::IntArrayRef({4, 16, 16}));
  EXPECT_TRUE(masks[0].eq(0).all().item<bool>());
  const auto mask = [&](int kind, int i, int j) { return masks[kind][i][j].item<float>(); };
  EXPECT_EQ(mask(1, 1, 2), -100.0F);       // left and right of a vertical seam
  EXPECT_EQ(mask(1, 1, 4 * 3 + 1), 0.0F);  // above each other
  EXPECT_EQ(mask(2, 1, 2), 0.0F);
  EXPECT_EQ(mask(2, 1, 4 * 3 + 1), -100.0F);
  EXPECT_EQ(mask(3, 1, 2), -100.0F);
  EXPECT_EQ(mask(3, 1, 4 * 3 + 1), -100.0F);
  EXPECT_EQ(mask(3, 0, 5), 0.0F);
  EXPECT_TRUE(masks.equal(masks.transpose(1, 2)));
}

}  // namespace
}  // namespace retouchd::inference
