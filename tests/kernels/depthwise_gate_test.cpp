#include "inference/kernels/depthwise_gate.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "tests/emulator/launcher.h"
#include "tests/kernels/depthwise_gate_cases.h"

namespace retouchd::kernels {
namespace {

using reference::depthwise_gate_cases;
using reference::DepthwiseGateCase;
using reference::error_of_depthwise_gate;

void run(const DepthwiseGateCall& call) { ASSERT_EQ(dispatch_depthwise_gate(call, emulator::Launcher()), nullptr); }

TEST(DepthwiseGate, IsTheReferenceInHalf) {
  for (const DepthwiseGateCase& c : depthwise_gate_cases()) EXPECT_LT(error_of_depthwise_gate<Half>(c, run), 5e-4) << c;
}

TEST(DepthwiseGate, IsTheReferenceInBfloat16) {
  for (const DepthwiseGateCase& c : depthwise_gate_cases()) EXPECT_LT(error_of_depthwise_gate<Bfloat16>(c, run), 4e-3) << c;
}

TEST(DepthwiseGate, DoesNotDependOnTheOrderOfItsWarps) {
  for (const int hidden : {40, 64}) {
    const auto error_with = [hidden](std::uint32_t seed) {
      return error_of_depthwise_gate<Half>({{1, 20, 37}, hidden}, [seed](const DepthwiseGateCall& call) {
        ASSERT_EQ(dispatch_depthwise_gate(call, emulator::Launcher(seed)), nullptr);
      });
    };
    const double first = error_with(1);
    for (std::uint32_t seed = 2; seed < 8; ++seed) EXPECT_EQ(error_with(seed), first);
  }
}

/// So many pictures fill a device with walks of 16 rows; a few have short ones.
TEST(DepthwiseGate, WalksDownLongerStripsWhereThereAreEnough) {
  EXPECT_LT(error_of_depthwise_gate<Half>({{700, 35, 1}, 8, Gate::kProduct}, run), 5e-4);
}

TEST(DepthwiseGate, RefusesWhatItCannotDo) {
  alignas(16) std::array<float, 64> memory{};
  const auto refusal_of = [&](const auto& spoil) {
    DepthwiseGateCall call{Number::kHalf, {1, 1, 1}, 8, Gate::kGelu, memory.data(), memory.data(), nullptr, memory.data() + 32};
    spoil(call);
    const Outcome outcome = dispatch_depthwise_gate(call, emulator::Launcher());
    return std::string(outcome == nullptr ? "" : outcome);
  };
  EXPECT_EQ(refusal_of([](DepthwiseGateCall& call) { call.in = nullptr; }), "depthwise_gate: a pointer is missing");
  EXPECT_EQ(refusal_of([](DepthwiseGateCall& call) { call.weight = nullptr; }), "depthwise_gate: a pointer is missing");
  EXPECT_EQ(refusal_of([](DepthwiseGateCall& call) { call.out = nullptr; }), "depthwise_gate: a pointer is missing");
  EXPECT_EQ(refusal_of([&](DepthwiseGateCall& call) { call.out = memory.data(); }),
            "depthwise_gate: the result would overwrite what neighbours still read");
  EXPECT_EQ(refusal_of([](DepthwiseGateCall& call) { call.map.width = 0; }), "depthwise_gate: the map is empty");
  EXPECT_EQ(refusal_of([](DepthwiseGateCall& call) { call.map.pictures = 0; }), "depthwise_gate: the map is empty");
  EXPECT_EQ(refusal_of([](DepthwiseGateCall& call) { call.hidden = 12; }), "depthwise_gate: hidden is not a multiple of 8");
  EXPECT_EQ(refusal_of([](DepthwiseGateCall& call) { call.hidden = 0; }), "depthwise_gate: hidden is not a multiple of 8");
  EXPECT_EQ(refusal_of([](DepthwiseGateCall& call) { call.map.pictures = 65536; }),
            "depthwise_gate: more blocks than a grid holds");
}

}  // namespace
}  // namespace retouchd::kernels
