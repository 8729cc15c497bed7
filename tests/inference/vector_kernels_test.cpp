// Each kernel against the obvious loop, at sizes that are no multiples of a vector or of a block of pixels.
#include "inference/restormer/vector_kernels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

namespace retouchd::inference::vector_kernels {
namespace {

std::vector<float> noise(std::int64_t count, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0.3F, 2.0F);
  std::vector<float> numbers(static_cast<std::size_t>(count));
  for (float& number : numbers) number = normal(generator);
  return numbers;
}

/// The nearest bf16 of each number, as fp32 and as it is stored.
struct Halved {
  explicit Halved(std::vector<float> numbers) : values(std::move(numbers)), stored(values.size()) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      std::uint32_t bits = 0;
      std::memcpy(&bits, &values[i], sizeof bits);
      bits &= 0xFFFF0000U;
      std::memcpy(&values[i], &bits, sizeof bits);
      stored[i].bits = static_cast<std::uint16_t>(bits >> 16);
    }
  }
  std::vector<float> values;
  std::vector<Bfloat16> stored;
};

float as_float(Bfloat16 number) {
  const std::uint32_t bits = static_cast<std::uint32_t>(number.bits) << 16;
  float value = 0;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

constexpr std::int64_t kRows = 3;
constexpr std::int64_t kWidth = 7;

/// Convolution of one channel at one pixel.
double convolved(const std::vector<float>& strip, const std::vector<float>& weights, const std::vector<float>& bias,
                 std::int64_t row, std::int64_t column, std::int64_t channels, std::int64_t c) {
  double sum = bias[static_cast<std::size_t>(c)];
  for (std::int64_t y = 0; y < 3; ++y) {
    for (std::int64_t x = 0; x < 3; ++x) {
      const std::int64_t at = column + x - 1;
      if (at < 0 || at >= kWidth) continue;
      sum += static_cast<double>(strip[static_cast<std::size_t>(((row + y) * kWidth + at) * channels + c)]) *
             weights[static_cast<std::size_t>((3 * y + x) * channels + c)];
    }
  }
  return sum;
}

TEST(VectorKernels, NormalizeCentresOrNot) {
  for (const std::int64_t channels : {4, 16, 37}) {
    const auto x = noise(5 * channels, 1);
    std::vector<float> centred(x.size());
    std::vector<float> bias_free(x.size());
    normalize(x.data(), centred.data(), 5, channels, true);
    normalize(x.data(), bias_free.data(), 5, channels, false);
    for (std::int64_t p = 0; p < 5; ++p) {
      const float* pixel = x.data() + p * channels;
      double mean = 0;
      double variance = 0;
      for (std::int64_t c = 0; c < channels; ++c) mean += pixel[c] / static_cast<double>(channels);
      for (std::int64_t c = 0; c < channels; ++c) variance += std::pow(pixel[c] - mean, 2) / static_cast<double>(channels);
      for (std::int64_t c = 0; c < channels; ++c) {
        const auto i = static_cast<std::size_t>(p * channels + c);
        EXPECT_NEAR(centred[i], (pixel[c] - mean) / std::sqrt(variance + 1e-5), 2e-6);
        EXPECT_NEAR(bias_free[i], pixel[c] / std::sqrt(variance + 1e-5), 2e-6);
      }
    }
  }
}

TEST(VectorKernels, DepthwiseConvolvesTheChannelsAskedFor) {
  constexpr std::int64_t kChannels = 45;
  constexpr std::int64_t kFrom = 9;
  constexpr std::int64_t kCount = 36;
  const auto strip = noise((kRows + 2) * kWidth * kChannels, 2);
  const auto weights = noise(9 * kChannels, 3);
  const auto bias = noise(kChannels, 4);
  std::vector<float> out(kRows * kWidth * kCount);
  depthwise(DepthwiseInput<float>{strip.data(), kRows, kWidth, kChannels, weights.data(), bias.data()}, kFrom, kCount,
            out.data());
  for (std::int64_t i = 0; i < kRows * kWidth; ++i) {
    for (std::int64_t c = 0; c < kCount; ++c) {
      EXPECT_NEAR(out[static_cast<std::size_t>(i * kCount + c)],
                  convolved(strip, weights, bias, i / kWidth, i % kWidth, kChannels, kFrom + c), 2e-5);
    }
  }
}

TEST(VectorKernels, TheGateIsGeluTimesTheOtherHalf) {
  constexpr std::int64_t kHidden = 24;
  const Halved strip(noise((kRows + 2) * kWidth * 2 * kHidden, 5));
  const auto weights = noise(9 * 2 * kHidden, 6);
  const auto bias = noise(2 * kHidden, 7);
  std::vector<float> out(kRows * kWidth * kHidden);
  depthwise_gate(DepthwiseInput<float>{strip.values.data(), kRows, kWidth, 2 * kHidden, weights.data(), bias.data()}, out.data());
  std::vector<Bfloat16> rounded(out.size());
  depthwise_gate(DepthwiseInput<Bfloat16>{strip.stored.data(), kRows, kWidth, 2 * kHidden, weights.data(), bias.data()},
                 rounded.data());
  for (std::int64_t i = 0; i < kRows * kWidth; ++i) {
    for (std::int64_t c = 0; c < kHidden; ++c) {
      const double gate = convolved(strip.values, weights, bias, i / kWidth, i % kWidth, 2 * kHidden, c);
      const double value = convolved(strip.values, weights, bias, i / kWidth, i % kWidth, 2 * kHidden, kHidden + c);
      const double expected = gate * 0.5 * std::erfc(-gate / std::sqrt(2.0)) * value;
      const auto at = static_cast<std::size_t>(i * kHidden + c);
      EXPECT_NEAR(out[at], expected, 1e-4 + 2e-6 * std::abs(expected));
      EXPECT_NEAR(as_float(rounded[at]), expected, 1e-4 + 0.004 * std::abs(expected));
    }
  }
}

TEST(VectorKernels, SquaresAreAddedToWhatIsThere) {
  constexpr std::int64_t kPixels = 131;
  constexpr std::int64_t kChannels = 19;
  const auto x = noise(kPixels * kChannels, 8);
  std::vector<float> sums(kChannels, 1.0F);
  add_squares(x.data(), kPixels, kChannels, sums.data());
  for (std::size_t c = 0; c < sums.size(); ++c) {
    double expected = 1;
    for (std::size_t p = 0; p < kPixels; ++p) expected += std::pow(x[p * kChannels + c], 2);
    EXPECT_NEAR(sums[c], expected, 1e-5 * expected);
  }
}

TEST(VectorKernels, IntegersComeBackAsWhatTheyWere) {
  constexpr std::int64_t kPixels = 4;
  constexpr std::int64_t kChannels = 21;
  Halved x(noise(kPixels * kChannels, 9));
  for (std::size_t c = 0; c < kChannels; ++c) x.stored[c].bits = 0;  // a pixel of zeros
  std::vector<std::int8_t> integers(kPixels * kChannels);
  std::vector<float> scales(kPixels);
  quantize(x.stored.data(), integers.data(), scales.data(), kPixels, kChannels);
  const std::vector<std::int32_t> sums(integers.begin(), integers.end());
  const std::vector<float> ones(kChannels, 1.0F);
  const std::vector<float> bias(kChannels, 0.5F);
  std::vector<float> back(integers.size(), 10.0F);
  dequantize(sums.data(), scales.data(), ones.data(), bias.data(), back.data(), kPixels, kChannels, true);
  for (std::size_t i = 0; i < back.size(); ++i) {
    EXPECT_NEAR(back[i], as_float(x.stored[i]) + 10.5F, scales[i / kChannels] / 2 + 1e-5);
  }
}

TEST(VectorKernels, AddTakesEveryNumberOfNumbers) {
  for (const std::int64_t count : {1, 16, 23}) {
    const Halved y(noise(count, 10));
    std::vector<float> x(static_cast<std::size_t>(count), 2.0F);
    add(x.data(), y.stored.data(), count);
    for (std::size_t i = 0; i < x.size(); ++i) EXPECT_EQ(x[i], 2.0F + y.values[i]);
  }
}

}  // namespace
}  // namespace retouchd::inference::vector_kernels
