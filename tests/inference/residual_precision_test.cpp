// However coarse the numbers inside a network are, a picture of 16 bits keeps its own: what the network changes is added in fp32.
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "golden_networks.h"
#include "inference/networks/torch_network.h"

namespace retouchd::inference {
namespace {

constexpr std::int64_t kSide = 128;

/// A slope of 128 * 128 different values between 0.2 and 0.8, no two neighbours more than a 16-bit step or two apart.
at::Tensor slope(int channels) {
  at::Tensor picture = at::empty({1, kSide, kSide, channels}, at::kFloat);
  auto* value = picture.data_ptr<float>();
  for (std::int64_t y = 0; y < kSide; ++y) {
    for (std::int64_t x = 0; x < kSide; ++x) {
      const auto along = static_cast<double>(y * kSide + (y % 2 == 0 ? x : kSide - 1 - x));
      for (int c = 0; c < channels; ++c) *value++ = static_cast<float>(0.2 + 0.6 * along / (kSide * kSide));
    }
  }
  return picture;
}

at::Tensor forward(const NetworkInfo& network, Precision precision, const at::Tensor& input) {
  ForwardOptions options;
  options.precision = precision;
  const auto loaded = load_torch_network(network, options);
  if (!loaded) throw std::runtime_error(loaded.error().message);
  return (*loaded)->forward(input);
}

/// Values of 16 bits that occur.
std::size_t distinct(const at::Tensor& picture) {
  std::set<long> values;
  const auto* numbers = picture.data_ptr<float>();
  for (std::int64_t i = 0; i < picture.numel(); ++i) values.insert(std::lround(numbers[i] * 65535.0F));
  return values.size();
}

class ResidualPrecision : public testing::TestWithParam<Precision> {
 protected:
  void expect_kept(const NetworkInfo& network) const {
    const c10::InferenceMode inference;
    const at::Tensor input = slope(network.channels);
    const at::Tensor coarse = forward(network, GetParam(), input);
    const at::Tensor exact = forward(network, Precision::kFp32, input);
    EXPECT_EQ(coarse.scalar_type(), at::kFloat);
    // The weights of the small Restormers are random: they change a picture by much, and what they change is coarse.
    const double change = (exact - input).abs().mean().item<double>();
    EXPECT_LT((coarse - exact).abs().mean().item<double>(), std::max(1e-3, 0.2 * change)) << "mean change " << change;
    // bf16 has 128 values between 0.25 and 0.5, and 128 more up to 1.
    EXPECT_GT(distinct(coarse), 4'000U);
  }

  const TemporaryFolder folder_;
};

TEST_P(ResidualPrecision, OfTheBuiltInNetworkLeaves16BitPicturesTheirBits) {
  expect_kept(listed(kModels / "student-tiny.safetensors"));
}

TEST_P(ResidualPrecision, OfRestormerLeaves16BitPicturesTheirBits) {
  expect_kept(network_of_golden(folder_, "restormer-with-bias"));
  expect_kept(network_of_golden(folder_, "restormer-gray"));
}

INSTANTIATE_TEST_SUITE_P(Coarse, ResidualPrecision, testing::Values(Precision::kBf16, Precision::kMixed),
                         [](const auto& precision) { return std::string(name_of(precision.param)); });

}  // namespace
}  // namespace retouchd::inference
