// DRCT in C++ against what its authors' code computed (tests/inference/data/make_drct_golden.py), and its two paths against each
// other.
#include "inference/drct/drct.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "inference/drct/drct_weights.h"
#include "inference/drct/drct_windows.h"
#include "inference/weights/safetensors.h"

namespace retouchd::inference {
namespace {

using testing::HasSubstr;

const std::filesystem::path kGolden = std::filesystem::path(RETOUCHD_SOURCE_DIR) / "tests/inference/data/golden";

ForwardOptions plain() {
  ForwardOptions options;
  options.optimize = false;
  return options;
}

ForwardOptions optimized(Precision precision = Precision::kFp32) {
  ForwardOptions options;
  options.precision = precision;
  return options;
}

double largest_difference(const at::Tensor& a, const at::Tensor& b) { return (a - b).abs().max().item<double>(); }
double mean_difference(const at::Tensor& a, const at::Tensor& b) { return (a - b).abs().mean().item<double>(); }

/// Appends a tensor as PyTorch's state dicts have it.
void add_tensor(WeightFile& file, const std::string& name, const at::Tensor& tensor) {
  const at::Tensor contiguous = tensor.contiguous();
  WeightHeader::Entry entry{contiguous.scalar_type() == at::kLong ? "I64" : "F32", contiguous.sizes().vec(), file.data.size(), 0};
  entry.end = entry.begin + contiguous.nbytes();
  file.data.resize(entry.end);
  std::memcpy(file.data.data() + entry.begin, contiguous.data_ptr(), contiguous.nbytes());
  file.header.tensors[name] = entry;
}

class Drct : public testing::Test {
 protected:
  static WeightFile read(const std::string& name) {
    auto file = read_safetensors(kGolden / (name + ".safetensors"));
    EXPECT_TRUE(file) << file.error().message;
    return std::move(*file);
  }

  static DrctConfig config_of(const WeightFile& file) {
    const auto config = drct_config(file.header);
    EXPECT_TRUE(config) << config.error().message;
    return *config;
  }

  static std::unique_ptr<TorchNetwork> build(const WeightFile& file, const ForwardOptions& options) {
    WeightReader reader(file, options.device);
    auto network = make_drct(reader, config_of(file), options);
    reader.ignore("golden.input");
    reader.ignore("golden.output");
    reader.expect_all_taken();
    return network;
  }

  static std::string reason_for_refusing(const WeightFile& file) {
    try {
      build(file, optimized());
    } catch (const BadWeights& error) {
      return error.what();
    }
    ADD_FAILURE() << "was accepted";
    return {};
  }

  static at::Tensor picture(std::int64_t batch, std::int64_t height, std::int64_t width) {
    at::manual_seed(7);
    return at::rand({batch, height, width, 3});
  }

  /// `golden.input` or `golden.output` as [1, H, W, 3].
  static at::Tensor golden(const WeightFile& file, const std::string& name) {
    WeightReader reader(file, at::kCPU);
    return reader.take(name, reader.shape_of(name)).permute({0, 2, 3, 1}).contiguous();
  }

  const c10::InferenceMode inference_;
};

class DrctGolden : public Drct, public testing::WithParamInterface<const char*> {
 protected:
  const WeightFile file_ = read(GetParam());
};

TEST_P(DrctGolden, ThePlainPathComputesWhatTheAuthorsCodeDoes) {
  EXPECT_LT(largest_difference(build(file_, plain())->forward(golden(file_, "golden.input")), golden(file_, "golden.output")),
            2e-6);
}

TEST_P(DrctGolden, TheOptimizedPathComputesWhatTheAuthorsCodeDoes) {
  EXPECT_LT(largest_difference(build(file_, optimized())->forward(golden(file_, "golden.input")), golden(file_, "golden.output")),
            2e-6);
}

TEST_P(DrctGolden, EveryPrecisionIsWithinItsTolerance) {
  const std::int64_t window = config_of(file_).window;
  const at::Tensor input = picture(1, 2 * window, 3 * window);
  const at::Tensor expected = build(file_, plain())->forward(input);
  for (const Precision precision :
       {Precision::kFp32, Precision::kTf32, Precision::kFp16, Precision::kBf16, Precision::kMixed, Precision::kInt8}) {
    const at::Tensor result = build(file_, optimized(precision))->forward(input);
    EXPECT_EQ(result.scalar_type(), at::kFloat);
    EXPECT_LT(mean_difference(result, expected), tolerance_of(precision)) << name_of(precision);
  }
}

TEST_P(DrctGolden, MapsOfEverySizeEqualThePlainPath) {
  // Windows in the middle, in the last row, in the last column and in the corner, and maps that lack some of them.
  const auto slow = build(file_, plain());
  auto options = optimized();
  const std::int64_t window = config_of(file_).window;
  for (const std::int64_t strip_pixels : {1, 2000, 1'000'000}) {
    options.strip_pixels = strip_pixels;
    const auto fast = build(file_, options);
    for (const auto& [rows, columns] : std::vector<std::pair<int, int>>{{1, 1}, {1, 4}, {3, 1}, {2, 2}, {5, 3}}) {
      const at::Tensor input = picture(1, rows * window, columns * window);
      const at::Tensor expected = slow->forward(input);
      const at::Tensor result = fast->forward(input);
      ASSERT_EQ(result.sizes(), expected.sizes());
      EXPECT_TRUE(result.is_contiguous());
      EXPECT_LT(largest_difference(result, expected), 1e-6)
          << rows << " x " << columns << " windows, strips of " << strip_pixels << " pixels";
    }
  }
}

TEST_P(DrctGolden, ABatchIsItsPicturesOneByOne) {
  const std::int64_t window = config_of(file_).window;
  const at::Tensor input = picture(3, 2 * window, 3 * window);
  for (const auto& options : {plain(), optimized()}) {
    const auto network = build(file_, options);
    const at::Tensor together = network->forward(input);
    for (std::int64_t i = 0; i < 3; ++i)
      EXPECT_LT(largest_difference(together.narrow(0, i, 1), network->forward(input.narrow(0, i, 1))), 1e-6) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Files, DrctGolden, testing::Values("drct-x2", "drct-x3", "drct-x4"),
                         [](const auto& suite) { return "X" + std::string(suite.param).substr(6); });

TEST_F(Drct, SeveralForwardsAtOnceGiveWhatOneGives) {
  const auto network = build(read("drct-x4"), optimized());
  const at::Tensor input = picture(1, 32, 32);
  const at::Tensor alone = network->forward(input);
  std::vector<at::Tensor> results(4);
  at::parallel_for(0, 4, 1, [&](std::int64_t begin, std::int64_t end) {
    const c10::InferenceMode inference;
    for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) results[i] = network->forward(input);
  });
  for (const at::Tensor& result : results) EXPECT_LT(largest_difference(result, alone), 1e-6);
}

TEST_F(Drct, WhatFollowsFromTheConfigurationMayBeInTheFile) {
  WeightFile file = read("drct-x4");
  const at::Tensor input = picture(1, 16, 24);
  const at::Tensor without = build(file, optimized())->forward(input);
  const at::Tensor positions = drct_relative_positions(config_of(file).window);
  for (int stage = 1; stage <= 5; ++stage)
    add_tensor(file, "layers.0.swin" + std::to_string(stage) + ".attn.relative_position_index", positions);
  for (const char* name : {"layers.0.swin2.attn_mask", "layers.0.swin4.attn_mask"})
    add_tensor(file, name, at::full({64, 64, 64}, 1.0));  // of another size of picture: not what is used
  EXPECT_TRUE(build(file, optimized())->forward(input).equal(without));
}

TEST_F(Drct, AnotherIndexOfPositionsIsRefused) {
  WeightFile file = read("drct-x4");
  const std::string name = "layers.0.swin3.attn.relative_position_index";
  add_tensor(file, name, drct_relative_positions(config_of(file).window).t());
  EXPECT_THAT(reason_for_refusing(file), HasSubstr("`" + name + "` is not the index"));
  add_tensor(file, name, at::zeros({2, 2}, at::kLong));
  EXPECT_THAT(reason_for_refusing(file), HasSubstr("`" + name + "` has shape [2, 2], expected [64, 64]"));
  add_tensor(file, name, at::zeros({64, 64}));
  EXPECT_THAT(reason_for_refusing(file), HasSubstr("`" + name + "` holds F32 instead of whole numbers"));
}

TEST_F(Drct, AMissingTensorIsNamed) {
  WeightFile file = read("drct-x2");
  file.header.tensors.erase("layers.1.swin4.attn.proj.bias");
  EXPECT_THAT(reason_for_refusing(file), HasSubstr("`layers.1.swin4.attn.proj.bias` is missing"));
}

TEST_F(Drct, ATensorOfAnotherShapeIsNamed) {
  WeightFile file = read("drct-x2");
  add_tensor(file, "layers.1.adjust5.weight", at::zeros({12, 36}));
  EXPECT_THAT(reason_for_refusing(file), HasSubstr("`layers.1.adjust5.weight` has shape [12, 36], expected [12, 36, 1, 1]"));
}

TEST_F(Drct, WholeNumbersAndNaNAreNoWeights) {
  WeightFile file = read("drct-x2");
  add_tensor(file, "norm.bias", at::full({12}, std::numeric_limits<double>::quiet_NaN(), at::kFloat));
  EXPECT_THAT(reason_for_refusing(file), HasSubstr("`norm.bias` holds NaN"));
  add_tensor(file, "norm.bias", at::zeros({12}, at::kLong));
  EXPECT_THAT(reason_for_refusing(file), HasSubstr("`norm.bias` holds whole numbers"));
}

TEST_F(Drct, ATensorTooManyIsNamed) {
  WeightFile file = read("drct-x2");
  add_tensor(file, "absolute_pos_embed", at::zeros({1, 64, 12}));
  EXPECT_THAT(reason_for_refusing(file), HasSubstr("`absolute_pos_embed` does not belong"));
}

TEST_F(Drct, TheNearestNetworkRepeatsPixels) {
  const WeightFile file = read("drct-nearest-x4");
  EXPECT_EQ(config_of(file).scale, 4);
  const at::Tensor input = picture(2, 24, 40);
  const at::Tensor expected = input.repeat_interleave(4, 1).repeat_interleave(4, 2);
  EXPECT_LT(largest_difference(build(file, plain())->forward(input), expected), 1e-6);
  EXPECT_LT(largest_difference(build(file, optimized())->forward(input), expected), 1e-6);
  EXPECT_LT(largest_difference(build(file, optimized(Precision::kMixed))->forward(input), expected), 1e-6);
  EXPECT_LT(mean_difference(build(file, optimized(Precision::kBf16))->forward(input), expected), 1e-3);
}

}  // namespace
}  // namespace retouchd::inference
