// The built-in depth network in C++ against the tensors that training/export.py computed with the same weights in Python.
#include "inference/networks/rgbd_tiny.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "inference/networks/depth_fill.h"
#include "inference/networks/layers.h"
#include "inference/weights/weight_file.h"

namespace retouchd::inference {
namespace {

const std::filesystem::path kModels = std::filesystem::path(RETOUCHD_SOURCE_DIR) / "models";
constexpr std::int64_t kHalo = 96;

class RgbdTiny : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    const auto weights = read_weights(kModels / "rgbd-tiny.safetensors");
    ASSERT_TRUE(weights) << weights.error().message;
    WeightReader reader(*weights, at::kCPU);
    network_ = make_rgbd_tiny(reader).release();
    reader.expect_all_taken();
  }
  static void TearDownTestSuite() { delete network_; }
  void SetUp() override { at::manual_seed(1); }

  static at::Tensor restore(const at::Tensor& input) {
    const c10::InferenceMode guard;
    return network_->forward(input.contiguous());
  }

  static TorchNetwork* network_;
};

TorchNetwork* RgbdTiny::network_ = nullptr;

/// [1, height, width, 4]: a textured wall at `metres`.
at::Tensor wall(std::int64_t height, std::int64_t width, double metres) {
  return at::cat({at::rand({1, height, width, 3}) * 0.2 + 0.4, at::full({1, height, width, 1}, metres)}, 3);
}

struct Span {
  std::int64_t begin = 0;
  std::int64_t end = 0;
};

/// A view of part of [N, H, W, C].
at::Tensor part(const at::Tensor& picture, Span rows, Span columns) {
  return picture.narrow(1, rows.begin, rows.end - rows.begin).narrow(2, columns.begin, columns.end - columns.begin);
}

at::Tensor depth_of(const at::Tensor& input) { return input.narrow(3, 3, 1); }

void cut_hole(const at::Tensor& input, Span rows, Span columns) { part(depth_of(input), rows, columns).zero_(); }

/// Random colours, depth from 1 to 4 m with holes of all sizes.
at::Tensor rough_scene(std::int64_t height, std::int64_t width) {
  const at::Tensor input = at::rand({1, height, width, 4});
  depth_of(input).mul_(3).add_(1).mul_((at::rand({1, height, width, 1}) > 0.2).to(at::kFloat));
  cut_hole(input, {30, 94}, {100, 164});
  cut_hole(input, {120, height - 8}, {10, 190});
  return input;
}

double largest_ratio(const at::Tensor& a, const at::Tensor& b) {
  return ((a - b).abs() / b.abs().clamp_min(1e-3)).max().item<double>();
}

/// A tensor [1, C, H, W] of a file as [1, H, W, C].
at::Tensor take_picture(WeightReader& file, const std::string& name) { return to_nhwc(file.take(name, file.shape_of(name))); }

TEST_F(RgbdTiny, AgreesWithTheNetworkItWasTrainedAs) {
  const auto golden = read_weights(kModels / "rgbd-tiny.golden.safetensors");
  ASSERT_TRUE(golden) << golden.error().message;
  WeightReader reader(*golden, at::kCPU);
  const auto restored = restore(at::cat({take_picture(reader, "input"), take_picture(reader, "depth")}, 3));
  const auto expected = take_picture(reader, "output");
  ASSERT_EQ(restored.sizes(), expected.sizes());
  EXPECT_TRUE(restored.is_contiguous());
  EXPECT_LT(largest_ratio(restored, expected), 1e-5);
  EXPECT_TRUE(at::equal(restored == 0, expected == 0));
}

TEST_F(RgbdTiny, TilesWithAHaloEqualTheWholePicture) {
  constexpr std::int64_t kSide = 384;
  constexpr std::int64_t kTile = 128;
  const auto input = rough_scene(kSide, kSide);
  const auto whole = restore(input);
  for (std::int64_t top = 0; top < kSide; top += kTile) {
    for (std::int64_t left = 0; left < kSide; left += kTile) {
      const auto y = std::max<std::int64_t>(0, top - kHalo);
      const auto x = std::max<std::int64_t>(0, left - kHalo);
      const auto tile =
          restore(part(input, {y, std::min(kSide, top + kTile + kHalo)}, {x, std::min(kSide, left + kTile + kHalo)}));
      const auto inner = part(tile, {top - y, top - y + kTile}, {left - x, left - x + kTile});
      const auto same = part(whole, {top, top + kTile}, {left, left + kTile});
      EXPECT_LT(largest_ratio(inner, same), 1e-6) << "tile at " << top << ", " << left;
    }
  }
}

TEST_F(RgbdTiny, APictureDoesNotDependOnItsCompanyInTheBatch) {
  const auto first = rough_scene(192, 192);
  const auto second = wall(192, 192, 2);
  const auto together = restore(at::cat({first, second}, 0));
  EXPECT_LT(largest_ratio(together.narrow(0, 0, 1), restore(first)), 1e-6);
  EXPECT_LT(largest_ratio(together.narrow(0, 1, 1), restore(second)), 1e-6);
}

TEST_F(RgbdTiny, AHoleInAWallIsFilledWithTheWall) {
  const auto input = wall(160, 160, 2);
  cut_hole(input, {48, 112}, {41, 105});  // 64 px across
  const auto hole = part(restore(input), {48, 112}, {41, 105});
  EXPECT_NEAR(hole.min().item<double>(), 2.0, 0.1);
  EXPECT_NEAR(hole.max().item<double>(), 2.0, 0.1);
}

TEST_F(RgbdTiny, NoiseOnAWallBecomesLess) {
  const auto input = wall(160, 160, 2);
  depth_of(input).add_(at::randn({1, 160, 160, 1}) * 0.006);
  const auto inner = [](const at::Tensor& depth) { return (part(depth, {16, 144}, {16, 144}) - 2.0).abs().mean(); };
  EXPECT_LT(inner(restore(input)).item<double>(), 0.5 * inner(depth_of(input)).item<double>());
}

TEST_F(RgbdTiny, EverythingIsFilledWhereSomethingIsKnownWithin32Pixels) {
  const auto input = wall(192, 320, 3);
  cut_hole(input, {0, 192}, {100, 320});
  const auto depth = restore(input);
  EXPECT_GT(part(depth, {0, 192}, {0, 132}).min().item<double>(), 0.0);
}

TEST_F(RgbdTiny, NothingIsMadeUpWhereNothingIsKnown) {
  const auto input = wall(192, 320, 3);
  cut_hole(input, {0, 192}, {100, 320});
  const auto depth = restore(input);
  EXPECT_EQ(part(depth, {0, 192}, {100 + kHalo, 320}).max().item<double>(), 0.0);
  cut_hole(input, {0, 192}, {0, 320});
  EXPECT_TRUE(at::equal(restore(input), at::zeros({1, 192, 320, 1})));
}

TEST_F(RgbdTiny, OddDepthGivesFiniteDepth) {
  const auto input = rough_scene(192, 192);
  part(depth_of(input), {0, 8}, {0, 192}).fill_(0.001);
  part(depth_of(input), {64, 72}, {0, 192}).fill_(65.535);
  part(depth_of(input), {72, 74}, {0, 192}).fill_(std::numeric_limits<double>::quiet_NaN());
  const auto depth = restore(input);
  EXPECT_TRUE(at::isfinite(depth).all().item<bool>());
  EXPECT_LE(depth.max().item<double>(), 65.536);
  EXPECT_GE(depth.min().item<double>(), 0.0);
}

TEST_F(RgbdTiny, GrayColoursWorkAsWell) {
  const auto input = wall(160, 160, 2);
  input.narrow(3, 0, 3).copy_(input.narrow(3, 0, 1).clone().expand({1, 160, 160, 3}));
  cut_hole(input, {60, 100}, {60, 100});
  const auto depth = restore(input);
  EXPECT_NEAR(depth.min().item<double>(), 2.0, 0.1);
  EXPECT_NEAR(depth.max().item<double>(), 2.0, 0.1);
}

TEST(RgbdTinyWeights, AMissingTensorIsNamed) {
  auto weights = read_weights(kModels / "rgbd-tiny.safetensors");
  ASSERT_TRUE(weights) << weights.error().message;
  weights->header.tensors.erase("fuse2.gate.weight");
  WeightReader reader(*weights, at::kCPU);
  EXPECT_THAT([&] { (void)make_rgbd_tiny(reader); }, testing::ThrowsMessage<BadWeights>(testing::HasSubstr("fuse2.gate.weight")));
}

class DepthFill : public testing::Test {
 protected:
  void SetUp() override { at::manual_seed(2); }

  at::Tensor valid_ = (at::rand({1, 1, 128, 128}) > 0.7).to(at::kFloat);
  at::Tensor inverse_ = (at::rand({1, 1, 128, 128}) + 0.1) * valid_;
};

TEST_F(DepthFill, KeepsWhatIsKnown) {
  const auto filled = fill_depth(inverse_, valid_);
  EXPECT_TRUE(at::allclose(filled.inverse * valid_, inverse_, 1e-6, 0));
  EXPECT_EQ(filled.reached.min().item<double>(), 1.0);
}

TEST_F(DepthFill, FillsAPlaneOfOneDepthExactly) {
  inverse_ = valid_ * 0.5;
  inverse_.narrow(2, 40, 64).narrow(3, 30, 64).zero_();
  valid_ = (inverse_ > 0).to(at::kFloat);
  EXPECT_TRUE(at::allclose(fill_depth(inverse_, valid_).inverse, at::full({1, 1, 128, 128}, 0.5), 1e-5, 0));
}

TEST_F(DepthFill, TheSurroundingsAreOnEitherSideOfWhatIsKnown) {
  const auto filled = fill_depth(inverse_, valid_);
  const auto around = surroundings_of(inverse_, valid_, filled.inverse);
  EXPECT_TRUE(((around.near >= filled.inverse * valid_) | (valid_ == 0)).all().item<bool>());
  EXPECT_TRUE(((around.far <= filled.inverse + 1e-6) | (valid_ == 0)).all().item<bool>());
}

TEST_F(DepthFill, AnEmptyPictureStaysEmpty) {
  const auto none = at::zeros({1, 1, 64, 64});
  const auto filled = fill_depth(none, none);
  EXPECT_TRUE(at::equal(filled.inverse, none));
  EXPECT_TRUE(at::equal(filled.reached, none));
  EXPECT_TRUE(at::equal(surroundings_of(none, none, filled.inverse).near, none));
}

}  // namespace
}  // namespace retouchd::inference
