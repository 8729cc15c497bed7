// The lean path against the plain one, and what must not change a result.
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>

#include "restormer_files.h"

namespace retouchd::inference {
namespace {

using Norm = RestormerConfig::Norm;

struct Variant {
  std::string name;
  RestormerConfig config;
  std::optional<int> local_window;
};

std::vector<Variant> variants() {
  RestormerConfig bias_free = small_config();
  bias_free.norm = Norm::kBiasFree;
  RestormerConfig gray = bias_free;
  gray.in_channels = gray.out_channels = 1;
  RestormerConfig dual_pixel = small_config();
  dual_pixel.in_channels = 6;
  dual_pixel.dual_pixel = true;
  RestormerConfig biases = small_config();
  biases.bias = true;
  RestormerConfig narrow = biases;  // narrower than a vector
  narrow.dim = 4;
  narrow.hidden = {10, 21, 42, 85};
  RestormerConfig spatial = biases;
  spatial.spatial_windows = true;
  return {{"rgb", small_config(), {}}, {"bias_free", bias_free, {}}, {"gray", gray, {}},    {"dual_pixel", dual_pixel, {}},
          {"biases", biases, {}},      {"narrow", narrow, {}},       {"local", biases, 24}, {"spatial", spatial, {}}};
}

ForwardOptions plain() {
  ForwardOptions options;
  options.optimize = false;
  return options;
}

ForwardOptions lean(Precision precision) {
  ForwardOptions options;
  options.precision = precision;
  return options;
}

ForwardOptions strips_of(std::int64_t pixels) {
  ForwardOptions options;
  options.strip_pixels = pixels;
  return options;
}

class RestormerVariant : public testing::TestWithParam<Variant> {
 protected:
  RestormerVariant() : file_(random_restormer(GetParam().config)) {
    at::set_num_threads(1);
    const std::int64_t channels = GetParam().config.in_channels;
    input_ = random_picture(1, 64, GetParam().config.spatial_windows ? 128 : 72, channels);
  }

  at::Tensor restore(const ForwardOptions& options, const at::Tensor& input) const {
    return build(file_, options, GetParam().local_window)->forward(input);
  }
  at::Tensor restore(const ForwardOptions& options) const { return restore(options, input_); }

  const c10::InferenceMode inference_;
  WeightFile file_;
  at::Tensor input_;
};

TEST_P(RestormerVariant, LeanEqualsPlain) { EXPECT_LT(largest_difference(restore({}), restore(plain())), 1e-5); }

/// Twice the tolerance: random weights exaggerate.
TEST_P(RestormerVariant, EveryPrecisionIsNear) {
  const at::Tensor expected = restore(plain());
  EXPECT_GT(mean_difference(expected, input_.narrow(3, 0, expected.size(3))), 0.05)
      << "the network does nothing to be wrong about";
  for (const Precision precision : {Precision::kTf32, Precision::kFp16, Precision::kBf16, Precision::kMixed, Precision::kInt8}) {
    EXPECT_LT(mean_difference(restore(lean(precision)), expected), 2 * tolerance_of(precision)) << name_of(precision);
  }
}

TEST_P(RestormerVariant, TheHeightOfStripsChangesNothing) {
  const at::Tensor expected = restore({});
  for (const std::int64_t pixels : {1, 300, 1000, 1 << 20}) {
    EXPECT_LT(largest_difference(restore(strips_of(pixels)), expected), 2e-6) << pixels;
  }
}

TEST_P(RestormerVariant, ThreadsOnlyShareTheRows) {
  const at::Tensor alone = restore({});
  at::set_num_threads(3);
  const at::Tensor together = restore({});
  at::set_num_threads(1);
  EXPECT_LT(largest_difference(together, alone), 2e-6);
}

TEST_P(RestormerVariant, APictureDoesNotDependOnItsCompanyInTheBatch) {
  const at::Tensor pictures = random_picture(3, 64, 64, GetParam().config.in_channels);
  const at::Tensor together = restore({}, pictures);
  const at::Tensor together_plain = restore(plain(), pictures);
  for (std::int64_t i = 0; i < 3; ++i) {
    const at::Tensor alone = restore({}, pictures.narrow(0, i, 1).contiguous());
    EXPECT_EQ(largest_difference(together.narrow(0, i, 1), alone), 0.0) << i;
    EXPECT_LT(largest_difference(together_plain.narrow(0, i, 1), alone), 1e-5) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(All, RestormerVariant, testing::ValuesIn(variants()),
                         [](const auto& tested) { return tested.param.name; });

class Restormer : public testing::Test {
 protected:
  Restormer() { at::set_num_threads(1); }
  const c10::InferenceMode inference_;
};

TEST_F(Restormer, OneWindowOverTheMapIsGlobalAttention) {
  const WeightFile file = random_restormer(small_config());
  const at::Tensor input = random_picture(1, 48, 64, 3);
  for (const ForwardOptions& options : {plain(), ForwardOptions{}}) {
    const at::Tensor global = build(file, options)->forward(input);
    EXPECT_EQ(largest_difference(build(file, options, 64)->forward(input), global), 0.0);
    EXPECT_GT(largest_difference(build(file, options, 32)->forward(input), global), 1e-3);
  }
}

TEST_F(Restormer, LocalAttentionTakesABatch) {
  const WeightFile file = random_restormer(small_config());
  const at::Tensor pictures = random_picture(2, 64, 72, 3);
  const auto network = build(file, plain(), 32);
  const at::Tensor together = network->forward(pictures);
  EXPECT_LT(largest_difference(together.narrow(0, 1, 1), network->forward(pictures.narrow(0, 1, 1))), 1e-6);
}

TEST_F(Restormer, LoudFeaturesDoNotOverflowInHalfPrecision) {
  // Sums over the pixels of q^2 and k^2 leave fp16 far behind.
  WeightFile file = random_restormer(small_config());
  for (auto& [name, entry] : file.header.tensors) {
    if (!name.ends_with("qkv.weight")) continue;
    auto* numbers = reinterpret_cast<float*>(file.data.data() + entry.begin);
    for (std::uint64_t i = 0; i < (entry.end - entry.begin) / sizeof(float) * 2 / 3; ++i) numbers[i] *= 100;
  }
  const at::Tensor input = random_picture(1, 64, 64, 3);
  const at::Tensor expected = build(file, plain())->forward(input);
  const at::Tensor output = build(file, lean(Precision::kFp16))->forward(input);
  EXPECT_TRUE(at::isfinite(output).all().item<bool>());
  EXPECT_LT(mean_difference(output, expected), 5e-3);
}

TEST_F(Restormer, ATensorOfAnotherShapeIsRefusedByName) {
  WeightFile file = random_restormer(small_config());
  auto& entry = file.header.tensors.at("decoder_level2.0.ffn.dwconv.weight");
  entry.shape = {2, 1, 3, 3};
  try {
    (void)build(file, {});
    FAIL() << "not refused";
  } catch (const BadWeights& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("decoder_level2.0.ffn.dwconv.weight"));
  }
}

TEST_F(Restormer, AMissingTensorIsRefusedByName) {
  for (const std::string name :
       {"up3_2.body.0.weight", "refinement.0.norm2.body.bias", "encoder_level3.0.attn.project_out.weight"}) {
    WeightFile file = random_restormer(small_config());
    file.header.tensors.erase(name);
    try {
      (void)build(file, {});
      FAIL() << "not refused without " << name;
    } catch (const BadWeights& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr(name));
    }
  }
}

}  // namespace
}  // namespace retouchd::inference
