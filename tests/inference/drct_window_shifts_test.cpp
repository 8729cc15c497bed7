#include "inference/drct/drct_window_shifts.h"

#include <ATen/Functions.h>
#include <gtest/gtest.h>

#include <array>
#include <thread>
#include <vector>

namespace retouchd::inference {
namespace {

constexpr std::int64_t kWindow = 4;
constexpr std::int64_t kShift = 2;

void expect_fresh(const ShiftedWindows& known, std::int64_t batch, std::int64_t height, std::int64_t width) {
  const ShiftedWindows fresh = shift_windows(batch, height, width, kWindow, kShift, at::kCPU);
  EXPECT_TRUE(known.pixels.equal(fresh.pixels)) << batch << "x" << height << "x" << width;
  EXPECT_EQ(known.ends, fresh.ends) << batch << "x" << height << "x" << width;
}

TEST(DrctWindowShifts, WhatIsRememberedEqualsWhatIsComputed) {
  const WindowShifts shifts(kWindow, kShift, at::kCPU);
  for (int again = 0; again < 2; ++again) {
    for (const std::int64_t batch : {1, 2, 5}) {
      for (const auto& [height, width] : std::vector<std::pair<int, int>>{{4, 4}, {4, 12}, {12, 4}, {8, 20}, {20, 8}})
        expect_fresh(shifts.of(batch, height, width), batch, height, width);
    }
  }
}

TEST(DrctWindowShifts, TheSameShapeIsComputedOnce) {
  const WindowShifts shifts(kWindow, kShift, at::kCPU);
  const at::Tensor first = shifts.of(2, 8, 12).pixels;
  EXPECT_EQ(shifts.of(2, 8, 12).pixels.data_ptr(), first.data_ptr());
  EXPECT_NE(shifts.of(2, 12, 8).pixels.data_ptr(), first.data_ptr());
  EXPECT_EQ(shifts.remembered_pixels(), 2 * 2 * 8 * 12);
}

TEST(DrctWindowShifts, WhatIsRememberedIsBoundedAndStaysWhereItIs) {
  const WindowShifts shifts(kWindow, kShift, at::kCPU, 300);
  const void* kept = shifts.of(1, 8, 8).pixels.data_ptr();
  for (std::int64_t batch = 1; batch < 20; ++batch) {
    expect_fresh(shifts.of(batch, 8, 8), batch, 8, 8);
    EXPECT_LE(shifts.remembered_pixels(), 300);
  }
  EXPECT_EQ(shifts.remembered_pixels(), (1 + 2) * 64);  // 3 * 64 more would be too much
  EXPECT_EQ(shifts.of(1, 8, 8).pixels.data_ptr(), kept);
  const at::Tensor large = shifts.of(7, 8, 8).pixels;
  EXPECT_NE(shifts.of(7, 8, 8).pixels.data_ptr(), large.data_ptr());
}

TEST(DrctWindowShifts, ThreadsThatWantTheSameShapeGetTheSame) {
  const WindowShifts shifts(kWindow, kShift, at::kCPU);
  std::array<ShiftedWindows, 4> found;
  std::vector<std::thread> threads;
  for (ShiftedWindows& mine : found) {
    threads.emplace_back([&shifts, &mine] {
      for (std::int64_t side = 4; side <= 32; side += 4) mine = shifts.of(1, side, side);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const ShiftedWindows& one : found) EXPECT_EQ(one.pixels.data_ptr(), found.front().pixels.data_ptr());
  expect_fresh(found.front(), 1, 32, 32);
}

}  // namespace
}  // namespace retouchd::inference
