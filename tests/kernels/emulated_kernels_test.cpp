#include "tests/emulator/emulated_kernels.h"

#include <gtest/gtest.h>

#include "tests/kernels/depthwise_gate_cases.h"
#include "tests/kernels/mixing_cases.h"

namespace retouchd::emulator {
namespace {

using kernels::DepthwiseGateCall;
using kernels::Half;
using kernels::MixingCall;
using kernels::OnChip;

TEST(EmulatedKernels, RunWithoutADevice) {
  const auto error_of_gate = kernels::reference::error_of_depthwise_gate<Half>(
      {{1, 5, 7}, 64},
      [](const DepthwiseGateCall& call) { ASSERT_EQ(emulated_kernels().depthwise_gate(call, nullptr), nullptr); });
  EXPECT_LT(error_of_gate, 5e-4);
  const auto error_of_mixing = kernels::reference::error_of_mixing<Half>(
      {1, 48, 1, 3}, [](const MixingCall& call) { ASSERT_EQ(emulated_kernels().mixing(call, nullptr), nullptr); });
  EXPECT_LT(error_of_mixing, 5e-4);
}

TEST(EmulatedKernels, AreOneDeviceWithRoomForAllKernels) {
  EXPECT_EQ(emulated_kernels().use_device(0), nullptr);
  EXPECT_NE(emulated_kernels().use_device(1), nullptr);
  EXPECT_GT(emulated_kernels().multiprocessors(), 0);
  for (const OnChip kernel : {OnChip::kQkvGram, OnChip::kFeedForward}) {
    EXPECT_TRUE(emulated_kernels().fits(kernel, 48));
    EXPECT_FALSE(emulated_kernels().fits(kernel, 64));
  }
}

}  // namespace
}  // namespace retouchd::emulator
