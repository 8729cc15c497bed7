#include "inference/kernels/pointwise.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/emulator/launcher.h"
#include "tests/kernels/pointwise_cases.h"
#include "tests/kernels/whole_rows_launcher.h"

namespace retouchd::kernels {
namespace {

using emulator::Launcher;
using reference::PointwiseCase;
using testing::HasSubstr;

constexpr std::size_t kSmallShared = std::size_t{99} << 10U;  // of compute capability 8.6 and 8.9

template <typename T, typename LauncherOf = Launcher>
double emulated_error(const PointwiseCase& c, const LauncherOf& launcher = LauncherOf()) {
  return reference::error_of_pointwise<T>(
      c, [&](const PointwiseCall& call) { EXPECT_STREQ(dispatch_pointwise(call, launcher), nullptr) << c; });
}

TEST(Pointwise, IsTheFormulaInHalf) {
  for (const PointwiseCase& c : reference::pointwise_cases()) EXPECT_LT(emulated_error<Half>(c), 5e-4) << c;
}

TEST(Pointwise, IsTheFormulaInBfloat16) {
  for (const PointwiseCase& c : reference::pointwise_cases()) EXPECT_LT(emulated_error<Bfloat16>(c), 4e-3) << c;
}

TEST(Pointwise, FitsIntoLittleSharedMemory) {
  for (const PointwiseCase& c : reference::pointwise_cases()) {
    if (c.in_channels <= 192) continue;
    EXPECT_LT(emulated_error<Half>(c, Launcher(1, kSmallShared)), 5e-4) << c;
  }
}

TEST(Pointwise, TakesManyTilesPastItsRows) {
  for (const PointwiseCase& c : {PointwiseCase{{1, 3, 50}, 384, 584, Norm::kCentred, false, true},
                                 PointwiseCase{{2, 7, 13}, 80, 296, Norm::kUncentred, true, false, true, true},
                                 PointwiseCase{{1, 5, 28}, 416, 200, Norm::kNone, false, true, true}})
    EXPECT_LT(emulated_error<Half>(c, WholeRowsLauncher()), 5e-4) << c;
}

TEST(Pointwise, DoesNotDependOnTheOrderOfWarps) {
  for (const PointwiseCase& c : {PointwiseCase{{1, 9, 15}, 96, 200, Norm::kCentred, false, true, true},
                                 PointwiseCase{{1, 2, 70}, 256, 96}, PointwiseCase{{1, 9, 15}, 224, 392, Norm::kUncentred}}) {
    const double expected = emulated_error<Half>(c, WholeRowsLauncher(1));
    for (std::uint32_t seed = 2; seed < 5; ++seed) EXPECT_EQ(emulated_error<Half>(c, WholeRowsLauncher(seed)), expected) << c;
  }
}

TEST(Pointwise, RoundsOnce) {
  // 1 + 2^-11 lies between two halves and would go to the even one, 1; with the residual 2^-11 it is 1 + 2^-10, a half.
  const std::vector<Half> in(16, from_float<Half>(1.0F / 16));
  std::vector<Half> weight(8 * 16, from_float<Half>(1));
  const std::vector<float> bias(8, 1.0F / 2048);
  std::vector<Half> out(8, from_float<Half>(1.0F / 2048));
  PointwiseCall call;
  call.map = {1, 1, 1};
  call.in_channels = 16;
  call.out_channels = 8;
  call.in = in.data();
  call.weight = weight.data();
  call.bias = bias.data();
  call.residual = out.data();
  call.out = out.data();
  ASSERT_STREQ(dispatch_pointwise(call, Launcher()), nullptr);
  for (const Half value : out) EXPECT_EQ(to_float(value), 1 + 1.0F / 1024);
}

TEST(Pointwise, NormalisesLargeMeansWithoutLoss) {
  // The sum of squares less the squared mean would leave nothing of a deviation of 1 at 2000 in fp32.
  std::vector<Half> in(48);
  for (std::size_t i = 0; i < in.size(); ++i) in[i] = from_float<Half>(i % 2 == 0 ? 2001.0F : 1999.0F);
  std::vector<Half> weight(48 * 8, from_float<Half>(0));
  for (std::size_t o = 0; o < 8; ++o) weight[o * 48 + o] = from_float<Half>(1);
  std::vector<Half> out(8);
  PointwiseCall call;
  call.map = {1, 1, 1};
  call.in_channels = 48;
  call.out_channels = 8;
  call.norm = Norm::kCentred;
  call.in = in.data();
  call.weight = weight.data();
  call.out = out.data();
  ASSERT_STREQ(dispatch_pointwise(call, Launcher()), nullptr);
  for (std::size_t o = 0; o < 8; ++o) EXPECT_EQ(to_float(out[o]), o % 2 == 0 ? 1.0F : -1.0F);
}

TEST(Pointwise, SharesTilesWithoutAGap) {
  for (const std::int64_t rows : {1, 32, 256, 20000}) {
    for (const int outputs : {8, 192, 200, 1152, 2048}) {
      const TileSplit split = split_tiles<LongRows>(rows, outputs);
      int next = 0;
      for (int part = 0; part < split.parts; ++part) {
        EXPECT_EQ(split.range(part).first, next);
        EXPECT_GT(split.range(part).last, next);
        next = split.range(part).last;
      }
      EXPECT_EQ(next, (outputs + LongRows::kColumns - 1) / LongRows::kColumns);
    }
  }
  EXPECT_EQ(split_tiles<LongRows>(32, 1152).parts, 3);  // 96 blocks at once rather than 192 in two rounds
  EXPECT_EQ(split_tiles<LongRows>(20000, 1152).parts, 1);
}

TEST(Pointwise, SaysWhatIsWrongWithACall) {
  alignas(16) static std::byte memory[512];
  PointwiseCall good;
  good.map = {1, 1, 1};
  good.in_channels = 16;
  good.out_channels = 8;
  good.in = memory;
  good.weight = memory;
  good.out = memory + 256;
  const auto refused = [&](const auto& change) {
    PointwiseCall call = good;
    change(call);
    const Outcome outcome = dispatch_pointwise(call, Launcher());
    return std::string(outcome == nullptr ? "" : outcome);
  };
  EXPECT_EQ(refused([](PointwiseCall&) {}), "");
  EXPECT_THAT(refused([](PointwiseCall& call) { call.map.width = 0; }), HasSubstr("width"));
  EXPECT_THAT(refused([](PointwiseCall& call) { call.map.pictures = 70000; }), HasSubstr("pictures"));
  EXPECT_THAT(refused([](PointwiseCall& call) { call.map.height = call.map.width = 60000; }), HasSubstr("too many pixels"));
  EXPECT_THAT(refused([](PointwiseCall& call) { call.in_channels = 24; }), HasSubstr("in_channels"));
  EXPECT_THAT(refused([](PointwiseCall& call) { call.in_channels = 1552; }), HasSubstr("in_channels"));
  EXPECT_THAT(refused([](PointwiseCall& call) { call.norm = Norm::kCentred, call.in_channels = 400; }), HasSubstr("norm"));
  EXPECT_THAT(refused([](PointwiseCall& call) { call.out_channels = 12; }), HasSubstr("out_channels"));
  EXPECT_THAT(refused([](PointwiseCall& call) { call.weight = nullptr; }), HasSubstr("null"));
  EXPECT_THAT(refused([](PointwiseCall& call) { call.residual = memory + 8; }), HasSubstr("residual"));
  EXPECT_THAT(refused([](PointwiseCall& call) { call.out = memory; }), HasSubstr("out must not be in"));
}

}  // namespace
}  // namespace retouchd::kernels
