#include "inference/kernels/mixing.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "tests/emulator/launcher.h"
#include "tests/kernels/mixing_cases.h"

namespace retouchd::kernels {
namespace {

using reference::error_of_mixing;
using reference::mixing_cases;
using reference::MixingCase;

void run(const MixingCall& call) { ASSERT_EQ(dispatch_mixing(call, emulator::Launcher()), nullptr); }

TEST(Mixing, IsTheReferenceInHalf) {
  for (const MixingCase& c : mixing_cases()) EXPECT_LT(error_of_mixing<Half>(c, run), 5e-4) << c;
}

TEST(Mixing, IsTheReferenceInBfloat16) {
  for (const MixingCase& c : mixing_cases()) EXPECT_LT(error_of_mixing<Bfloat16>(c, run), 4e-3) << c;
}

TEST(Mixing, DoesNotDependOnTheOrderOfItsWarps) {
  const auto error_with = [](std::uint32_t seed) {
    return error_of_mixing<Half>({1, 96, 1, 9, 1, 5}, [seed](const MixingCall& call) {
      ASSERT_EQ(dispatch_mixing(call, emulator::Launcher(seed)), nullptr);
    });
  };
  const double first = error_with(1);
  for (std::uint32_t seed = 2; seed < 8; ++seed) EXPECT_EQ(error_with(seed), first);
}

TEST(Mixing, RefusesWhatItCannotDo) {
  alignas(16) std::array<float, 4> memory{};
  const auto refusal_of = [&](const auto& spoil) {
    MixingCall call{Number::kHalf, 1, 48, 1, {1, memory.data(), memory.data()}, memory.data(), memory.data(), memory.data()};
    spoil(call);
    const Outcome outcome = dispatch_mixing(call, emulator::Launcher());
    return std::string(outcome == nullptr ? "" : outcome);
  };
  EXPECT_EQ(refusal_of([](MixingCall& call) { call.sums.gram = nullptr; }), "mixing: a pointer is missing");
  EXPECT_EQ(refusal_of([](MixingCall& call) { call.sums.squares = nullptr; }), "mixing: a pointer is missing");
  EXPECT_EQ(refusal_of([](MixingCall& call) { call.temperature = nullptr; }), "mixing: a pointer is missing");
  EXPECT_EQ(refusal_of([](MixingCall& call) { call.project = nullptr; }), "mixing: a pointer is missing");
  EXPECT_EQ(refusal_of([](MixingCall& call) { call.mixing = nullptr; }), "mixing: a pointer is missing");
  EXPECT_EQ(refusal_of([](MixingCall& call) { call.pictures = 0; }), "mixing: pictures are not 1 to 65535");
  EXPECT_EQ(refusal_of([](MixingCall& call) { call.pictures = 65536; }), "mixing: pictures are not 1 to 65535");
  EXPECT_EQ(refusal_of([](MixingCall& call) { call.sums.slots = 0; }), "mixing: there are no sums");
  EXPECT_EQ(refusal_of([](MixingCall& call) { call.heads = 0; }), "mixing: heads do not have 48 or 96 channels");
  EXPECT_EQ(refusal_of([](MixingCall& call) { call.channels = 64; }), "mixing: heads do not have 48 or 96 channels");
}

}  // namespace
}  // namespace retouchd::kernels
