#include "inference/kernels/depthwise_gram.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "tests/emulator/launcher.h"
#include "tests/kernels/gram_cases.h"

namespace retouchd::kernels {
namespace {

using reference::errors_of_depthwise_gram;
using reference::GramCase;

void run(const DepthwiseGramCall& call) { ASSERT_EQ(dispatch_depthwise_gram(call, emulator::Launcher()), nullptr); }

const std::vector<GramCase> kCases = reference::depthwise_gram_cases();

template <typename T>
void expect_reference(double tolerance) {
  for (const GramCase& c : kCases) {
    const auto errors = errors_of_depthwise_gram<T>(c, run);
    EXPECT_LT(errors.v, tolerance) << c;
    EXPECT_LT(errors.gram, tolerance) << c;
    EXPECT_LT(errors.squares, tolerance) << c;
  }
}

// At most 3.3e-4 and 2.7e-3 were found: of the squares of a single pixel, where nothing averages out; else 2.6e-4 and 1.9e-3.
TEST(DepthwiseGram, IsTheReferenceInHalf) { expect_reference<Half>(5e-4); }

TEST(DepthwiseGram, IsTheReferenceInBfloat16) { expect_reference<Bfloat16>(4e-3); }

TEST(DepthwiseGram, IsTheSameWithFewerBuffers) {
  const auto result_with = [](const GramCase& c, std::size_t shared_memory) {
    std::vector<float> everything;
    errors_of_depthwise_gram<Bfloat16>(
        c,
        [shared_memory](const DepthwiseGramCall& call) {
          ASSERT_EQ(dispatch_depthwise_gram(call, emulator::Launcher(3, shared_memory)), nullptr);
        },
        &everything);
    return everything;
  };
  for (const GramCase& c : kCases) {
    const auto result = result_with(c, std::size_t{227} << 10U);
    EXPECT_EQ(result_with(c, std::size_t{163} << 10U), result) << c;
    EXPECT_EQ(result_with(c, std::size_t{99} << 10U), result) << c;
  }
}

TEST(DepthwiseGram, DoesNotDependOnTheOrderOfItsWarps) {
  const auto result_with = [](const GramCase& c, std::uint32_t seed) {
    std::vector<float> everything;
    errors_of_depthwise_gram<Half>(
        c, [seed](const DepthwiseGramCall& call) { ASSERT_EQ(dispatch_depthwise_gram(call, emulator::Launcher(seed)), nullptr); },
        &everything);
    return everything;
  };
  for (const GramCase& c : {kCases[1], kCases[3]}) {
    const auto first = result_with(c, 1);
    for (std::uint32_t seed = 2; seed < 6; ++seed) EXPECT_EQ(result_with(c, seed), first) << c;
  }
}

TEST(DepthwiseGram, RefusesWhatItCannotDo) {
  const emulator::Launcher launcher;
  std::array<float, 4> memory{};
  float* const any = memory.data();
  const DepthwiseGramCall good{Number::kHalf, {1, 1, 1}, 48, 1, any, any, any, {1, any, any}};
  const auto refusal = [&](const auto& change) {
    DepthwiseGramCall call = good;
    change(call);
    const Outcome outcome = dispatch_depthwise_gram(call, launcher);
    return std::string(outcome == nullptr ? "" : outcome);
  };
  EXPECT_EQ(refusal([](auto& call) { call.map.width = 0; }), "gram: the map is empty");
  EXPECT_EQ(refusal([](auto& call) { call.map.pictures = 65536; }), "gram: more than 65535 pictures");
  EXPECT_EQ(refusal([](auto& call) { call.channels = 64; }), "gram: heads are of 48 channels, or one of 96");
  EXPECT_EQ(refusal([](auto& call) { call.heads = 0; }), "gram: heads are of 48 channels, or one of 96");
  EXPECT_EQ(refusal([](auto& call) { call.sums.slots = 0; }), "gram: no slots for the sums");
  EXPECT_EQ(refusal([](auto& call) { call.sums.squares = nullptr; }), "gram: no memory for the sums");
  EXPECT_EQ(refusal([](auto& call) { call.qkv = nullptr; }), "depthwise_gram: a tensor is missing");
  EXPECT_EQ(refusal([](auto& call) {
              call.channels = 432;
              call.heads = 9;
            }),
            "depthwise_gram: more than 384 channels");
}

}  // namespace
}  // namespace retouchd::kernels
