// Restormer against what the authors' own network computes; data/make_restormer_golden.py tells how the files came about.
#include <c10/core/InferenceMode.h>

#include <algorithm>

#include "restormer_files.h"

namespace retouchd::inference {
namespace {

struct Golden {
  const char* name;
  const char* description;
};

class RestormerGolden : public testing::TestWithParam<Golden> {
 protected:
  struct Difference {
    double largest;
    double mean;
  };

  /// From the reference.
  static Difference difference_of(const ForwardOptions& options) {
    const c10::InferenceMode inference;
    const auto path = std::filesystem::path(RETOUCHD_SOURCE_DIR) / "tests/inference/data/golden" /
                      (std::string("restormer-") + GetParam().name + ".safetensors");
    const auto file = read_weights(path);
    EXPECT_TRUE(file) << file.error().message;
    EXPECT_TRUE(is_restormer(file->header));
    const auto config = restormer_config(file->header);
    EXPECT_TRUE(config) << config.error().message;
    EXPECT_EQ(describe(*config), GetParam().description);
    WeightReader reader(*file, options.device);
    const auto picture = [&](const std::string& name) {
      return reader.take(name, reader.shape_of(name)).permute({0, 2, 3, 1}).contiguous();
    };
    const at::Tensor input = picture("golden.input");
    const at::Tensor expected = picture("golden.output");
    const auto window = file->header.metadata.find("local_window");
    const auto network =
        make_restormer(reader, *config, options,
                       window != file->header.metadata.end() ? std::optional<int>(std::stoi(window->second)) : std::nullopt);
    reader.expect_all_taken();
    const at::Tensor output = network->forward(input);
    EXPECT_EQ(output.sizes(), expected.sizes());
    EXPECT_TRUE(output.is_contiguous());
    return {largest_difference(output, expected), mean_difference(output, expected)};
  }
};

TEST_P(RestormerGolden, PlainAgreesWithTheReference) {
  ForwardOptions options;
  options.optimize = false;
  EXPECT_LT(difference_of(options).largest, 1e-5);
}

TEST_P(RestormerGolden, LeanAgreesWithTheReference) { EXPECT_LT(difference_of({}).largest, 1e-5); }

/// Twice the tolerance: networks of 4 channels with weights that nobody trained average over little.
TEST_P(RestormerGolden, EveryPrecisionIsNear) {
  for (const Precision precision : {Precision::kTf32, Precision::kFp16, Precision::kBf16, Precision::kMixed, Precision::kInt8}) {
    ForwardOptions options;
    options.precision = precision;
    EXPECT_LT(difference_of(options).mean, 2 * tolerance_of(precision)) << name_of(precision);
  }
}

INSTANTIATE_TEST_SUITE_P(All, RestormerGolden,
                         testing::Values(Golden{"with-bias", "dim 4, blocks 1 1 1 1 + 1, WithBias"},
                                         Golden{"bias-free", "dim 4, blocks 1 1 1 1 + 1, BiasFree"},
                                         Golden{"gray", "dim 4, blocks 1 1 1 1 + 1, BiasFree, gray"},
                                         Golden{"dual-pixel", "dim 4, blocks 1 1 1 1 + 1, WithBias, dual pixel"},
                                         Golden{"biases", "dim 4, blocks 1 2 1 1 + 1, WithBias, biases"},
                                         Golden{"local", "dim 4, blocks 1 1 1 1 + 1, BiasFree"},
                                         Golden{"spatial-windows", "dim 4, blocks 1 1 1 1 + 1, WithBias, 8x8 windows"}),
                         [](const auto& tested) {
                           std::string name = tested.param.name;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace retouchd::inference
