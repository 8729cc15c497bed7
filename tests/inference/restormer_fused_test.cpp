// The network through the CUDA kernels' templates, which run here on the CPU.
#include "inference/restormer/restormer_fused.h"

#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>

#include "restormer_files.h"
#include "tests/emulator/emulated_kernels.h"

namespace retouchd::inference {
namespace {

using Norm = RestormerConfig::Norm;

/// The published widths, a block a level.
RestormerConfig published_widths() {
  RestormerConfig config = small_config();
  config.dim = 48;
  config.hidden = {127, 255, 510, 1021};
  return config;
}

ForwardOptions fused(Precision precision, const kernels::KernelSet& kernels = emulator::emulated_kernels()) {
  ForwardOptions options;
  options.precision = precision;
  options.kernels = &kernels;
  return options;
}

/// As on devices with less shared memory: nothing stays on chip, or the feed-forward alone does.
kernels::KernelSet smaller(bool with_feed_forward) {
  kernels::KernelSet kernels = emulator::emulated_kernels();
  kernels.fits = [](kernels::OnChip, int) { return false; };
  if (with_feed_forward) {
    kernels.fits = [](kernels::OnChip kernel, int channels) {
      return kernel == kernels::OnChip::kFeedForward && emulator::emulated_kernels().fits(kernel, channels);
    };
  }
  return kernels;
}

at::Tensor plain(const WeightFile& file, const at::Tensor& input) {
  ForwardOptions options;
  options.optimize = false;
  return build(file, options)->forward(input);
}

class FusedRestormer : public testing::Test {
 protected:
  const c10::InferenceMode inference_;
};

TEST_F(FusedRestormer, IsNearPlainHoweverMuchFitsOnChip) {
  const WeightFile file = random_restormer(published_widths());
  const at::Tensor input = random_picture(1, 16, 24, 3);
  const at::Tensor expected = plain(file, input);
  for (const kernels::KernelSet& kernels : {smaller(false), smaller(true), emulator::emulated_kernels()})
    EXPECT_LT(mean_difference(build(file, fused(Precision::kFp16, kernels))->forward(input), expected), 1e-3);
  EXPECT_GT(mean_difference(expected, input), 0.05) << "the network does nothing to be wrong about";
}

TEST_F(FusedRestormer, PicturesOfABatchDoNotMix) {
  RestormerConfig config = published_widths();
  config.norm = Norm::kBiasFree;
  const WeightFile file = random_restormer(config);
  const auto network = build(file, fused(Precision::kFp16));
  const at::Tensor input = random_picture(2, 8, 24, 3);
  const at::Tensor together = network->forward(input);
  // The sums of a picture of a larger batch are put together from fewer parts.
  for (int i = 0; i < 2; ++i)
    EXPECT_LT(largest_difference(network->forward(input.narrow(0, i, 1).contiguous()), together.narrow(0, i, 1)), 2e-3);
  EXPECT_LT(mean_difference(together, plain(file, input)), 1e-3);
}

TEST_F(FusedRestormer, EveryPrecisionIsNear) {
  RestormerConfig config = published_widths();
  config.in_channels = 6;
  config.dual_pixel = true;
  const WeightFile file = random_restormer(config);
  const at::Tensor input = random_picture(1, 16, 16, 6);
  const at::Tensor expected = plain(file, input);
  for (const Precision precision : {Precision::kFp16, Precision::kBf16, Precision::kMixed, Precision::kInt8}) {
    const at::Tensor output = build(file, fused(precision))->forward(input);
    EXPECT_LT(mean_difference(output, expected), 4 * tolerance_of(precision))
        << name_of(precision) << ": random weights exaggerate";
  }
}

TEST_F(FusedRestormer, SaysWhatItCannotCompute) {
  const RestormerConfig config = published_widths();
  EXPECT_EQ(fused_obstacle(config, {}, Precision::kFp16), "");
  EXPECT_THAT(fused_obstacle(config, {}, Precision::kFp32), testing::HasSubstr("16-bit"));
  EXPECT_THAT(fused_obstacle(config, 384, Precision::kFp16), testing::HasSubstr("local windows"));
  EXPECT_THAT(fused_obstacle(small_config(), {}, Precision::kFp16), testing::HasSubstr("48, 96, 192 and 384"));
  RestormerConfig other = config;
  other.bias = true;
  EXPECT_THAT(fused_obstacle(other, {}, Precision::kFp16), testing::HasSubstr("biases"));
  other = config;
  other.heads = {2, 2, 4, 8};
  EXPECT_NE(fused_obstacle(other, {}, Precision::kFp16), "");
  other = config;
  other.spatial_windows = true;
  EXPECT_THAT(fused_obstacle(other, {}, Precision::kFp16), testing::HasSubstr("8x8"));
}

}  // namespace
}  // namespace retouchd::inference
