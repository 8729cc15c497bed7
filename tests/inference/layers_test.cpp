#include "inference/networks/layers.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <vector>

#include "inference/networks/depthwise_gate.h"

namespace retouchd::inference {
namespace {

class Layers : public testing::Test {
 protected:
  void SetUp() override { at::manual_seed(1); }
};

TEST_F(Layers, SpreadingTheReorderedChannelsOfA1x1ConvolutionIsAPixelShuffle) {
  for (const int factor : {2, 3}) {
    Pointwise layer{at::rand({5 * factor * factor, 8}), at::rand({5 * factor * factor})};
    const at::Tensor x = at::rand({2, 4, 7, 8});
    const at::Tensor expected = pixel_shuffle(layer(x), factor);
    order_for_spreading(layer, factor);
    const at::Tensor spread = spread_pixels(layer(x), factor);
    ASSERT_EQ(spread.sizes(), expected.sizes());
    EXPECT_TRUE(spread.is_contiguous());
    EXPECT_TRUE(spread.allclose(expected, 1e-6, 1e-6)) << factor;
  }
}

TEST_F(Layers, SpreadingTheReorderedChannelsOfAConvolutionIsAPixelShuffle) {
  for (const int factor : {2, 3}) {
    Convolution layer{at::rand({3 * factor * factor, 8, 3, 3}).contiguous(at::MemoryFormat::ChannelsLast),
                      at::rand({3 * factor * factor}), 1, 1, 1};
    const at::Tensor x = at::rand({2, 4, 7, 8});
    const at::Tensor expected = pixel_shuffle(layer(x), factor);
    order_for_spreading(layer, factor);
    EXPECT_TRUE(layer.weight.is_contiguous(at::MemoryFormat::ChannelsLast));
    EXPECT_TRUE(spread_pixels(layer(x), factor).allclose(expected, 1e-6, 1e-6)) << factor;
  }
}

TEST_F(Layers, SpreadingOntoASkipAddsItInTheSkipsType) {
  const at::Tensor x = at::rand({2, 3, 5, 12});
  const at::Tensor skip = at::rand({2, 6, 10, 3});
  EXPECT_TRUE(spread_pixels(x, 2, skip).equal(spread_pixels(x, 2) + skip));
  const at::Tensor sum = spread_pixels(x.to(at::kBFloat16), 2, skip);
  EXPECT_EQ(sum.scalar_type(), at::kFloat);
  EXPECT_TRUE(sum.equal(spread_pixels(x.to(at::kBFloat16), 2).to(at::kFloat) + skip));
}

TEST_F(Layers, TheDepthwiseGateMultipliesHalvesOfTheConvolvedChannels) {
  constexpr std::int64_t kChannels = 3;
  const Convolution depthwise{at::rand({2 * kChannels, 1, 3, 3}), at::rand({2 * kChannels}), 1, 1, 2 * kChannels};
  const at::Tensor x = at::rand({1, 4, 5, 2 * kChannels});
  const at::Tensor result = DepthwiseGate(depthwise)(x);
  ASSERT_EQ(result.sizes(), at::IntArrayRef({1, 4, 5, kChannels}));
  const auto convolved = [&](std::int64_t row, std::int64_t column, std::int64_t channel) {
    double sum = depthwise.bias[channel].item<double>();
    for (std::int64_t dy = -1; dy <= 1; ++dy) {
      for (std::int64_t dx = -1; dx <= 1; ++dx) {
        const auto y = row + dy;
        const auto z = column + dx;
        if (y < 0 || y >= 4 || z < 0 || z >= 5) continue;
        sum += depthwise.weight[channel][0][dy + 1][dx + 1].item<double>() * x[0][y][z][channel].item<double>();
      }
    }
    return sum;
  };
  for (const auto& [row, column] : std::vector<std::pair<int, int>>{{0, 0}, {3, 4}, {2, 2}}) {
    for (std::int64_t c = 0; c < kChannels; ++c)
      EXPECT_NEAR(result[0][row][column][c].item<double>(), convolved(row, column, c) * convolved(row, column, c + kChannels),
                  1e-5);
  }
}

}  // namespace
}  // namespace retouchd::inference
