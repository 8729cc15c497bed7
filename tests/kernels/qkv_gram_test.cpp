#include "inference/kernels/qkv_gram.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "tests/emulator/launcher.h"
#include "tests/kernels/gram_cases.h"

namespace retouchd::kernels {
namespace {

using reference::errors_of_qkv_gram;
using reference::GramCase;

void run(const QkvGramCall& call) { ASSERT_EQ(dispatch_qkv_gram(call, emulator::Launcher()), nullptr); }

const std::vector<GramCase> kCases = reference::qkv_gram_cases();

template <typename T>
void expect_reference(double tolerance) {
  for (const GramCase& c : kCases) {
    const auto errors = errors_of_qkv_gram<T>(c, run);
    EXPECT_LT(errors.v, tolerance) << c;
    EXPECT_LT(errors.gram, tolerance) << c;
    EXPECT_LT(errors.squares, tolerance) << c;
  }
}

// At most 6.1e-4 and 6.2e-3 were found: of the squares of a single pixel, where nothing averages out; else 4.9e-4 and 3.9e-3.
TEST(QkvGram, IsTheReferenceInHalf) { expect_reference<Half>(1e-3); }

TEST(QkvGram, IsTheReferenceInBfloat16) { expect_reference<Bfloat16>(8e-3); }

TEST(QkvGram, DoesNotDependOnTheOrderOfItsWarps) {
  const auto result_with = [](const GramCase& c, std::uint32_t seed) {
    std::vector<float> everything;
    errors_of_qkv_gram<Half>(
        c, [seed](const QkvGramCall& call) { ASSERT_EQ(dispatch_qkv_gram(call, emulator::Launcher(seed)), nullptr); },
        &everything);
    return everything;
  };
  for (const GramCase& c : {kCases[1], kCases[3]}) {
    const auto first = result_with(c, 1);
    for (std::uint32_t seed = 2; seed < 6; ++seed) EXPECT_EQ(result_with(c, seed), first) << c;
  }
}

TEST(QkvGram, NeedsAsMuchSharedMemoryAsItSays) {
  EXPECT_LE(qkv_gram_shared(48), std::size_t{99} << 10U);
  EXPECT_LE(qkv_gram_shared(96), std::size_t{227} << 10U);
  EXPECT_LE(qkv_gram_shared(192), std::size_t{227} << 10U);
  EXPECT_EQ(qkv_gram_shared(384), 0U);
}

TEST(QkvGram, RefusesWhatItCannotDo) {
  std::array<float, 4> memory{};
  float* const any = memory.data();
  const QkvGramCall good{Number::kHalf, {1, 1, 1}, 48, 1, Norm::kCentred, any, any, nullptr, any, any + 1, {1, any, any}};
  const auto refusal = [&](const auto& change, std::size_t shared_memory = std::size_t{227} << 10U) {
    QkvGramCall call = good;
    change(call);
    const Outcome outcome = dispatch_qkv_gram(call, emulator::Launcher(1, shared_memory));
    return std::string(outcome == nullptr ? "" : outcome);
  };
  EXPECT_EQ(refusal([](auto& call) { call.map.height = 0; }), "gram: the map is empty");
  EXPECT_EQ(refusal([](auto& call) { call.heads = 2; }), "gram: heads are of 48 channels, or one of 96");
  EXPECT_EQ(refusal([](auto& call) { call.sums.gram = nullptr; }), "gram: no memory for the sums");
  EXPECT_EQ(refusal([](auto& call) { call.weight = nullptr; }), "qkv_gram: a tensor is missing");
  EXPECT_EQ(refusal([any](auto& call) { call.v = any; }), "qkv_gram: v may not be the input");
  EXPECT_EQ(refusal([](auto& call) {
              call.channels = 384;
              call.heads = 8;
            }),
            "qkv_gram: there is no kernel for this number of channels");
  EXPECT_EQ(refusal([](auto& call) { call.channels = 96; }, std::size_t{163} << 10U),
            "qkv_gram: the device has too little shared memory");
}

}  // namespace
}  // namespace retouchd::kernels
