#include "inference/simulated_device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <opencv2/core.hpp>
#include <thread>

#include "golden_networks.h"

namespace retouchd::inference {
namespace {

using testing::HasSubstr;

class Simulated : public testing::Test {
 protected:
  std::unique_ptr<SimulatedDevice> open(const std::string& behaviour) const {
    auto simulation = parse_simulation("rate=1000000 copy=0us " + behaviour);
    EXPECT_TRUE(simulation) << simulation.error().message;
    auto device = std::make_unique<SimulatedDevice>("sim:0", *simulation, DeviceOptions{});
    EXPECT_TRUE(device->load(network_));
    return device;
  }

  Result<std::vector<Restored>> restore(SimulatedDevice& device, std::size_t tiles = 1, int depth = CV_8U,
                                        bool plain = false) const {
    RestoreOptions options;
    options.plain = plain;
    return device.restore(network_, tensor_, std::vector<Window>(tiles, {picture_, {}, depth}), options);
  }

  static cv::Mat noise(int type) {
    cv::Mat picture(50, 60, type);
    cv::RNG(3).fill(picture, cv::RNG::UNIFORM, 10, 200);
    return picture;
  }

  NetworkInfo network_ = listed(kModels / "student-tiny.safetensors");
  const cv::Size tensor_{64, 64};
  const cv::Mat picture_ = noise(CV_8UC3);
};

TEST_F(Simulated, AResultIsTheWindowInTheWantedDepth) {
  const auto device = open("");
  const auto bytes = restore(*device, 3);
  ASSERT_TRUE(bytes);
  ASSERT_EQ(bytes->size(), 3U);
  EXPECT_EQ(cv::norm(bytes->at(2).pixels, picture_, cv::NORM_INF), 0);
  EXPECT_NE(bytes->at(2).pixels.data, picture_.data);
  EXPECT_TRUE(bytes->at(2).values.is_finite);
  EXPECT_GE(bytes->at(2).values.least, 0.0F);
  EXPECT_LE(bytes->at(2).values.most, 1.0F);
  EXPECT_LT(bytes->at(2).values.least, bytes->at(2).values.most);
  const auto words = restore(*device, 1, CV_16U);
  ASSERT_EQ(words->front().pixels.type(), CV_16UC3);
  EXPECT_EQ(words->front().pixels.at<cv::Vec3w>(9, 9)[1], picture_.at<cv::Vec3b>(9, 9)[1] * 257);
  const auto floats = restore(*device, 1, CV_32F);
  EXPECT_FLOAT_EQ(floats->front().pixels.at<cv::Vec3f>(9, 9)[1], static_cast<float>(picture_.at<cv::Vec3b>(9, 9)[1]) / 255.0F);
}

TEST_F(Simulated, AScaleRepeatsPixelsAndADepthNetworkGivesDepth) {
  network_.scale = 2;
  const auto device = open("");
  const auto larger = restore(*device);
  ASSERT_EQ(larger->front().pixels.size(), cv::Size(120, 100));
  EXPECT_EQ(larger->front().pixels.at<cv::Vec3b>(41, 31), picture_.at<cv::Vec3b>(20, 15));

  network_.scale = 1;
  network_.companion = Companion::kDepth;
  const cv::Mat depth = noise(CV_16UC1);
  const auto restored = device->restore(network_, tensor_, std::vector<Window>{{picture_, depth, CV_32F}});
  ASSERT_EQ(restored->front().pixels.type(), CV_32FC1);
  EXPECT_FLOAT_EQ(restored->front().pixels.at<float>(9, 9), static_cast<float>(depth.at<std::uint16_t>(9, 9)) / 65535.0F);
}

TEST_F(Simulated, CallsFailByTheirNumber) {
  const auto device = open("fault=oom@2 fault=lost@4+3");
  EXPECT_TRUE(restore(*device));
  EXPECT_TRUE(restore(*device, 1, CV_8U, true)) << "plain ones do not count";
  EXPECT_EQ(restore(*device).error().code, ErrorCode::kOutOfDeviceMemory);
  EXPECT_TRUE(device->measure(network_, tensor_, 1)) << "nor does this one";
  EXPECT_TRUE(restore(*device));
  EXPECT_EQ(restore(*device).error().code, ErrorCode::kDeviceFailed);
  EXPECT_THAT(restore(*device).error().message, HasSubstr("sim:0 failed on a batch of 1"));
  EXPECT_FALSE(device->measure(network_, tensor_, 1)) << "a probe finds it lost, too";
  EXPECT_TRUE(device->measure(network_, tensor_, 1));
  EXPECT_TRUE(restore(*device));
}

TEST_F(Simulated, TilesAreSpoiltByTheirNumber) {
  const auto device = open("fault=nan@2 fault=constant@5 fault=range@6");
  const auto first = restore(*device, 4, CV_32F);
  ASSERT_TRUE(first);
  EXPECT_TRUE(first->at(0).values.is_finite);
  EXPECT_FALSE(first->at(1).values.is_finite);
  EXPECT_TRUE(std::isnan(first->at(1).pixels.at<cv::Vec3f>(3, 3)[0]));
  EXPECT_TRUE(first->at(2).values.is_finite);
  const auto again = restore(*device, 1, CV_8U, true);
  EXPECT_EQ(cv::norm(again->front().pixels, picture_, cv::NORM_INF), 0) << "plain ones are right";
  const auto second = restore(*device, 2);
  EXPECT_EQ(second->at(0).values.least, second->at(0).values.most);
  EXPECT_GT(second->at(1).values.most, 2.0F);
  EXPECT_LT(second->at(1).values.least, -2.0F);
}

TEST_F(Simulated, AShareOfTilesIsSpoiltByChance) {
  const auto count = [this](const std::string& behaviour) {
    const auto device = open(behaviour);
    int spoilt = 0;
    for (int i = 0; i < 100; ++i) {
      const auto restored = restore(*device, 10);
      for (const Restored& tile : *restored) spoilt += tile.values.is_finite ? 0 : 1;
    }
    return spoilt;
  };
  const int spoilt = count("fault=nan%10 seed=5");
  EXPECT_NEAR(spoilt, 100, 40);
  EXPECT_EQ(count("fault=nan%10 seed=5"), spoilt) << "the same every time";
  EXPECT_EQ(count("fault=nan%0"), 0);
  EXPECT_EQ(count("fault=nan%100"), 1000);
}

TEST_F(Simulated, ABatchThatIsTooLargeDoesNotFit) {
  const auto device = open("memory=16MiB bytes_per_pixel=1024");
  EXPECT_EQ(device->memory(), mebibytes(16));
  EXPECT_TRUE(restore(*device, 4)) << "4 * 64 * 64 * 1024 bytes";
  EXPECT_EQ(restore(*device, 5).error().code, ErrorCode::kOutOfDeviceMemory);
  EXPECT_EQ(device->measure(network_, tensor_, 5).error().code, ErrorCode::kOutOfDeviceMemory);
  EXPECT_EQ(device->measure(network_, tensor_, 2)->peak, mebibytes(8));
}

TEST_F(Simulated, OneOfTwoCallsComputes) {
  const auto device = open("");
  EXPECT_EQ(device->concurrency(), 2);
  EXPECT_EQ(device->compute_lanes(), 1);
  EXPECT_TRUE(device->computes_together());
  std::vector<bool> said;
  RestoreOptions options;
  options.computing = [&](bool begins) { said.push_back(begins); };
  ASSERT_TRUE(device->restore(network_, tensor_, std::vector<Window>{{picture_, {}, CV_8U}}, options));
  EXPECT_EQ(said, (std::vector{true, false}));
  std::vector<std::jthread> callers;
  for (int i = 0; i < 2; ++i) {
    callers.emplace_back([&] {
      for (int call = 0; call < 50; ++call) EXPECT_TRUE(restore(*device, 2));
    });
  }
}

TEST_F(Simulated, ANetworkMustHaveBeenLoadedFromAFileThatIsThere) {
  const auto device = open("");
  NetworkInfo other = network_;
  other.name = "other";
  EXPECT_EQ(device->restore(other, tensor_, std::vector<Window>{{picture_, {}}}).error().code, ErrorCode::kInternal);
  other.weights = "/nowhere/other.safetensors";
  EXPECT_EQ(device->load(other).error().code, ErrorCode::kBadWeights);
}

}  // namespace
}  // namespace retouchd::inference
