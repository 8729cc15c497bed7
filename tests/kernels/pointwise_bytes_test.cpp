#include "inference/kernels/pointwise_bytes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "tests/emulator/launcher.h"
#include "tests/kernels/pointwise_bytes_cases.h"
#include "tests/kernels/whole_rows_launcher.h"

namespace retouchd::kernels {
namespace {

using emulator::Launcher;
using reference::PointwiseBytesCase;
using reference::PointwiseBytesErrors;
using testing::HasSubstr;

template <typename T, typename LauncherOf>
PointwiseBytesErrors emulated_errors(const PointwiseBytesCase& c, const LauncherOf& launcher) {
  return reference::errors_of_pointwise_bytes<T>(
      c, [&](const PointwiseBytesCall& call) { EXPECT_STREQ(dispatch_pointwise_bytes(call, launcher), nullptr) << c; });
}

TEST(PointwiseBytes, MultipliesBytesExactly) {
  for (const PointwiseBytesCase& c : reference::pointwise_bytes_cases()) {
    EXPECT_LT(emulated_errors<Half>(c, Launcher()).of_products, 5e-4) << c;
    EXPECT_LT(emulated_errors<Bfloat16>(c, Launcher()).of_products, 4e-3) << c;
  }
}

TEST(PointwiseBytes, LosesAboutOnePercentOfNoise) {
  for (const PointwiseBytesCase& c : reference::pointwise_bytes_cases())
    EXPECT_LT(emulated_errors<Half>(c, Launcher()).of_result, 1.5e-2) << c;
}

TEST(PointwiseBytes, FitsIntoLittleSharedMemory) {
  for (const PointwiseBytesCase& c : reference::pointwise_bytes_cases()) {
    if (c.in_channels <= 192) continue;
    EXPECT_LT(emulated_errors<Half>(c, Launcher(1, std::size_t{99} << 10U)).of_products, 5e-4) << c;
  }
}

TEST(PointwiseBytes, TakesManyTilesPastItsRows) {
  for (const PointwiseBytesCase& c : {PointwiseBytesCase{{1, 3, 50}, 384, 584}, PointwiseBytesCase{{2, 7, 13}, 80, 296}})
    EXPECT_LT(emulated_errors<Half>(c, WholeRowsLauncher()).of_products, 5e-4) << c;
}

TEST(PointwiseBytes, DoesNotDependOnTheOrderOfWarps) {
  for (const PointwiseBytesCase& c :
       {PointwiseBytesCase{{1, 9, 15}, 80, 200, Norm::kCentred, true}, PointwiseBytesCase{{1, 2, 70}, 224, 392}}) {
    const auto expected = emulated_errors<Half>(c, WholeRowsLauncher(1));
    for (std::uint32_t seed = 2; seed < 5; ++seed)
      EXPECT_EQ(emulated_errors<Half>(c, WholeRowsLauncher(seed)).of_result, expected.of_result) << c;
  }
}

/// One pixel of 16 channels through the identity on eight.
class OnePixel {
 public:
  OnePixel() {
    for (std::size_t o = 0; o < 8; ++o) weight_[o * 16 + o] = 127;
    scale_.fill(1.0F / 127);
    in_.fill(from_float<Half>(0));
  }

  std::array<float, 8> run() {
    const PointwiseBytesCall call = this->call();
    EXPECT_STREQ(dispatch_pointwise_bytes(call, Launcher()), nullptr);
    std::array<float, 8> values{};
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = to_float(out_[i]);
    return values;
  }

  [[nodiscard]] PointwiseBytesCall call() {
    return {Number::kHalf, {1, 1, 1}, 16, 8, Norm::kNone, in_.data(), weight_.data(), scale_.data(), nullptr, out_.data()};
  }

  void set(std::size_t channel, float value) { in_[channel] = from_float<Half>(value); }

 private:
  alignas(16) std::array<Half, 16> in_{};
  alignas(16) std::array<std::int8_t, 128> weight_{};
  std::array<float, 8> scale_{};
  alignas(16) std::array<Half, 8> out_{};
};

TEST(PointwiseBytes, GivesZerosForAPixelOfZeros) { EXPECT_THAT(OnePixel().run(), testing::Each(0.0F)); }

TEST(PointwiseBytes, RoundsToTheNearestByte) {
  OnePixel pixel;
  pixel.set(0, 127);
  pixel.set(1, -126.6F);
  pixel.set(2, 0.4F);
  pixel.set(3, -0.6F);
  EXPECT_THAT(pixel.run(), testing::ElementsAre(127, -127, 0, -1, 0, 0, 0, 0));
}

TEST(PointwiseBytes, DoesNotHideWhatIsNotANumber) {
  for (const std::size_t channel : {0U, 5U, 15U}) {
    OnePixel pixel;
    pixel.set(3, 7);
    pixel.set(channel, std::numeric_limits<float>::quiet_NaN());
    for (const float value : pixel.run()) EXPECT_TRUE(std::isnan(value));
  }
}

TEST(PointwiseBytes, SaysWhatIsWrongWithACall) {
  OnePixel pixel;
  const auto refused = [&](const auto& change) {
    PointwiseBytesCall call = pixel.call();
    change(call);
    const Outcome outcome = dispatch_pointwise_bytes(call, Launcher());
    return std::string(outcome == nullptr ? "" : outcome);
  };
  EXPECT_EQ(refused([](PointwiseBytesCall&) {}), "");
  EXPECT_THAT(refused([](PointwiseBytesCall& call) { call.map.height = 0; }), HasSubstr("height"));
  EXPECT_THAT(refused([](PointwiseBytesCall& call) { call.in_channels = 400; }), HasSubstr("in_channels"));
  EXPECT_THAT(refused([](PointwiseBytesCall& call) { call.out_channels = 4; }), HasSubstr("out_channels"));
  EXPECT_THAT(refused([](PointwiseBytesCall& call) { call.weight += 8; }), HasSubstr("multiples of 16"));
  EXPECT_THAT(refused([](PointwiseBytesCall& call) { call.scale = nullptr; }), HasSubstr("scale"));
  EXPECT_THAT(refused([](PointwiseBytesCall& call) { call.in = call.out; }), HasSubstr("out must not be in"));
}

}  // namespace
}  // namespace retouchd::kernels
