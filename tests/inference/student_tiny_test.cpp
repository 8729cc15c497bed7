// The built-in network in C++ against the tensors that training/export.py computed with the same weights in Python.
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <opencv2/core.hpp>
#include <thread>
#include <vector>

#include "base/file.h"
#include "golden_networks.h"
#include "inference/device.h"
#include "inference/networks/torch_network.h"
#include "inference/registry.h"
#include "inference/weights/safetensors.h"
#include "tests/emulator/emulated_kernels.h"
#include "weight_files.h"

namespace retouchd::inference {
namespace {

class StudentTiny : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    network_ = new NetworkInfo(*Registry({{kModels}}).find("student-tiny"));
    device_ = cpu_device().release();
    const auto loaded = device_->load(*network_);
    ASSERT_TRUE(loaded) << loaded.error().message;
  }
  static void TearDownTestSuite() {
    delete device_;
    delete network_;
  }

  static cv::Mat restore(const cv::Mat& window, int side) { return restore_all({{window, {}}}, side).front(); }
  static std::vector<cv::Mat> restore_all(const std::vector<Window>& windows, int side) {
    auto restored = device_->restore(*network_, {side, side}, windows);
    EXPECT_TRUE(restored) << restored.error().message;
    std::vector<cv::Mat> pixels;
    for (const Restored& one : *restored) pixels.push_back(one.pixels);
    return pixels;
  }

  static cv::Mat random_picture(int rows, int cols, int type, int seed) {
    cv::Mat picture(rows, cols, type);
    cv::RNG generator(static_cast<std::uint64_t>(seed));
    generator.fill(picture, cv::RNG::UNIFORM, 0, CV_MAT_DEPTH(type) == CV_16U ? 65536 : 256);
    return picture;
  }

  static double largest_difference(const cv::Mat& a, const cv::Mat& b) { return cv::norm(a, b, cv::NORM_INF); }

  static NetworkInfo* network_;
  static Device* device_;
};

NetworkInfo* StudentTiny::network_ = nullptr;
Device* StudentTiny::device_ = nullptr;

/// A [1, 3, H, W] fp32 tensor as CV_32FC3.
cv::Mat picture_of(const WeightFile& file, const std::string& name) {
  const auto& entry = file.header.tensors.at(name);
  const int height = static_cast<int>(entry.shape.at(2));
  const int width = static_cast<int>(entry.shape.at(3));
  std::vector<cv::Mat> planes;
  for (int c = 0; c < 3; ++c) {
    cv::Mat plane(height, width, CV_32F);
    const std::size_t bytes = plane.total() * sizeof(float);
    std::memcpy(plane.data, file.data.data() + entry.begin + static_cast<std::size_t>(c) * bytes, bytes);
    planes.push_back(plane);
  }
  cv::Mat picture;
  cv::merge(planes, picture);
  return picture;
}

TEST_F(StudentTiny, AgreesWithTheNetworkItWasTrainedAs) {
  const auto golden = read_safetensors(kModels / "student-tiny.golden.safetensors");
  ASSERT_TRUE(golden) << golden.error().message;
  cv::Mat input;  // its values are whole 255ths
  picture_of(*golden, "input").convertTo(input, CV_8U, 255.0);
  EXPECT_LT(largest_difference(restore(input, input.cols), picture_of(*golden, "output")), 1e-5);
}

TEST_F(StudentTiny, ATileDoesNotDependOnItsCompanyInTheBatch) {
  std::vector<Window> windows;
  for (int i = 0; i < 5; ++i) windows.push_back({random_picture(128, 128, CV_8UC3, i), {}});
  const auto together = restore_all(windows, 128);
  for (std::size_t i = 0; i < windows.size(); ++i)
    EXPECT_EQ(largest_difference(together[i], restore(windows[i].colour, 128)), 0.0) << i;
}

TEST_F(StudentTiny, APixelReachesNoFartherThanTheReceptiveField) {
  const cv::Mat before = random_picture(160, 160, CV_8UC3, 1);
  cv::Mat after = before.clone();
  auto& centre = after.at<cv::Vec3b>(80, 80);
  for (int c = 0; c < 3; ++c) centre[c] = static_cast<std::uint8_t>(255 - centre[c]);
  cv::Mat change;
  cv::absdiff(restore(after, 160), restore(before, 160), change);
  change = change.reshape(1);
  const int reach = *network_->receptive_field;
  cv::Mat outside = change.clone();
  outside(cv::Range(80 - reach, 80 + reach + 1), cv::Range(3 * (80 - reach), 3 * (80 + reach + 1))).setTo(0);
  EXPECT_GT(cv::norm(change, cv::NORM_INF), 0.0);
  EXPECT_EQ(cv::norm(outside, cv::NORM_INF), 0.0);
}

TEST_F(StudentTiny, GrayAnd16BitWindowsKeepTheirShape) {
  const cv::Mat gray = restore(random_picture(100, 90, CV_8UC1, 2), 128);
  EXPECT_EQ(gray.size(), cv::Size(90, 100));
  EXPECT_EQ(gray.type(), CV_32FC1);
  const cv::Mat deep = restore(random_picture(100, 90, CV_16UC3, 3), 128);
  EXPECT_EQ(deep.type(), CV_32FC3);
}

TEST_F(StudentTiny, WeightsOfAnotherShapeAreRefusedByName) {
  const WeightFolder folder;
  NetworkInfo broken = *network_;
  broken.name = "broken";
  broken.weights = folder.write_weights(
      "broken.safetensors",
      R"({"__metadata__":{"arch":"student-tiny"},"intro.weight":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", "1234");
  broken.sha256 = *sha256_hex_of_file(broken.weights);
  const auto loaded = device_->load(broken);
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, ErrorCode::kBadWeights);
  EXPECT_THAT(loaded.error().message, testing::HasSubstr("broken.safetensors"));
}

TEST_F(StudentTiny, ANetworkThatWasNotLoadedIsAnErrorNotACrash) {
  NetworkInfo unknown = *network_;
  unknown.name = "never loaded";
  const std::vector<Window> windows{{random_picture(64, 64, CV_8UC3, 4), {}}};
  EXPECT_FALSE(device_->restore(unknown, {64, 64}, windows));
}

class StudentTinyForward : public testing::Test {
 protected:
  static std::unique_ptr<TorchNetwork> build(Precision precision, const kernels::KernelSet* kernels = nullptr) {
    ForwardOptions options;
    options.precision = precision;
    options.kernels = kernels;
    auto network = load_torch_network(listed(kModels / "student-tiny.safetensors"), options);
    if (!network) throw std::runtime_error(network.error().message);
    return std::move(*network);
  }

  /// [1, H, W, 3]: a picture, not noise.
  static at::Tensor picture() {
    const auto golden = read_safetensors(kModels / "student-tiny.golden.safetensors");
    if (!golden) throw std::runtime_error(golden.error().message);
    const cv::Mat pixels = picture_of(*golden, "input");
    return at::from_blob(pixels.data, {1, pixels.rows, pixels.cols, 3}, at::kFloat).clone();
  }

  const c10::InferenceMode inference_;
};

TEST_F(StudentTinyForward, EveryPrecisionIsWithinItsTolerance) {
  const at::Tensor input = picture();
  const at::Tensor exact = build(Precision::kFp32)->forward(input);
  const auto error_of = [&](Precision precision) {
    return (build(precision)->forward(input) - exact).abs().mean().item<double>();
  };
  for (const Precision precision : {Precision::kFp16, Precision::kBf16, Precision::kMixed})
    EXPECT_LT(error_of(precision), tolerance_of(precision)) << name_of(precision);
  EXPECT_LT(error_of(Precision::kFp16), 2e-4);  // by far the closest, and nothing in this network leaves its range
}

/// CUDA's, run by the emulator.
TEST_F(StudentTinyForward, ThroughKernelsIsAsNear) {
  const at::Tensor input = picture().narrow(1, 0, 32).narrow(2, 0, 48).contiguous();
  const at::Tensor exact = build(Precision::kFp32)->forward(input);
  for (const Precision precision : {Precision::kFp16, Precision::kMixed}) {
    const at::Tensor output = build(precision, &emulator::emulated_kernels())->forward(input);
    EXPECT_LT((output - exact).abs().mean().item<double>(), tolerance_of(precision)) << name_of(precision);
    EXPECT_GT((output - build(precision)->forward(input)).abs().max().item<double>(), 0) << "the kernels were not asked";
  }
}

TEST_F(StudentTinyForward, SeveralAtOnceGiveWhatOneGives) {
  const auto network = build(Precision::kFp32);
  const at::Tensor input = picture();
  const at::Tensor alone = network->forward(input);
  std::array<at::Tensor, 4> results;
  std::vector<std::thread> threads;
  for (at::Tensor& result : results) {
    threads.emplace_back([&network, &input, &result] {
      const c10::InferenceMode inference;
      result = network->forward(input);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const at::Tensor& result : results) EXPECT_TRUE(result.allclose(alone, 0, 1e-6));
}

}  // namespace
}  // namespace retouchd::inference
