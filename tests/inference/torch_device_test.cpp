// What every device promises (inference/device.h), on the CPU.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <barrier>
#include <opencv2/core.hpp>
#include <thread>

#include "golden_networks.h"
#include "inference/pixel_pool.h"
#include "inference/tensor_cache.h"

namespace retouchd::inference {
namespace {

using testing::HasSubstr;

class TorchDeviceTest : public testing::Test {
 protected:
  static std::unique_ptr<Device> open() { return cpu_device(); }

  static void load(Device& device, const NetworkInfo& network) {
    const auto loaded = device.load(network);
    ASSERT_TRUE(loaded) << loaded.error().message;
  }

  static cv::Mat restore(Device& device, const NetworkInfo& network, const cv::Mat& colour, const cv::Mat& companion = {}) {
    const std::vector<Window> windows{{colour, companion}};
    auto restored = device.restore(network, {64, 64}, windows);
    EXPECT_TRUE(restored) << restored.error().message;
    return restored ? restored->front().pixels : cv::Mat();
  }

  static cv::Mat random_picture(int type, std::uint64_t seed = 5) {
    cv::Mat picture(50, 60, type);
    cv::RNG(seed).fill(picture, cv::RNG::UNIFORM, 0, CV_MAT_DEPTH(type) == CV_16U ? 65536 : 256);
    return picture;
  }

  static double largest_difference(const cv::Mat& a, const cv::Mat& b) { return cv::norm(a, b, cv::NORM_INF); }

  const TemporaryFolder folder_;
};

TEST_F(TorchDeviceTest, AGrayWindowGoesThroughAColourNetworkAsThreeEqualColours) {
  const auto device = open();
  const NetworkInfo network = network_of_golden(folder_, "restormer-with-bias");
  load(*device, network);
  const cv::Mat gray = random_picture(CV_8UC1);
  const cv::Mat restored = restore(*device, network, gray);
  EXPECT_EQ(restored.type(), CV_32FC1);
  EXPECT_EQ(restored.size(), gray.size());
  cv::Mat colour;
  cv::merge(std::vector<cv::Mat>{gray, gray, gray}, colour);
  std::vector<cv::Mat> planes;
  cv::split(restore(*device, network, colour), planes);
  EXPECT_LT(largest_difference(restored, (planes[0] + planes[1] + planes[2]) / 3.0), 1e-6);
}

TEST_F(TorchDeviceTest, FloatsAreRestoredAsTheSamePictureInSixteenBitsIs) {
  const auto device = open();
  for (const NetworkInfo& network :
       {network_of_golden(folder_, "restormer-with-bias"), network_of_golden(folder_, "restormer-gray")}) {
    load(*device, network);
    for (const int type : {CV_16UC3, CV_16UC1}) {
      const cv::Mat whole = random_picture(type);
      cv::Mat floats;
      whole.convertTo(floats, CV_32F, 1.0 / 65535.0);
      EXPECT_LT(largest_difference(restore(*device, network, floats), restore(*device, network, whole)), 1e-5);
    }
  }
}

TEST_F(TorchDeviceTest, FloatsAreNotClamped) {
  const auto device = open();
  const NetworkInfo network = version_of_student(folder_, "1", true);
  load(*device, network);
  cv::Mat picture(50, 60, CV_32FC3);
  cv::RNG(9).fill(picture, cv::RNG::UNIFORM, -1.5, 4.0);
  EXPECT_EQ(largest_difference(restore(*device, network, picture), picture), 0);
}

TEST_F(TorchDeviceTest, AColourWindowGoesThroughAGrayNetworkColourByColour) {
  const auto device = open();
  const NetworkInfo network = network_of_golden(folder_, "restormer-gray");
  ASSERT_EQ(network.channels, 1);
  load(*device, network);
  for (const int depth : {CV_8U, CV_16U}) {
    const cv::Mat colour = random_picture(CV_MAKETYPE(depth, 3));
    const cv::Mat restored = restore(*device, network, colour);
    ASSERT_EQ(restored.type(), CV_32FC3);
    std::vector<cv::Mat> planes, restored_planes;
    cv::split(colour, planes);
    cv::split(restored, restored_planes);
    for (std::size_t c = 0; c < 3; ++c)
      EXPECT_LT(largest_difference(restored_planes[c], restore(*device, network, planes[c])), 1e-6) << c;
  }
}

TEST_F(TorchDeviceTest, GrayAndColourWindowsShareABatchOfAGrayNetwork) {
  const auto device = open();
  const NetworkInfo network = network_of_golden(folder_, "restormer-gray");
  load(*device, network);
  const std::vector<Window> windows{{random_picture(CV_8UC3, 1), {}}, {random_picture(CV_8UC1, 2), {}}};
  const auto restored = device->restore(network, {64, 64}, windows);
  ASSERT_TRUE(restored) << restored.error().message;
  for (std::size_t i = 0; i < windows.size(); ++i)
    EXPECT_LT(largest_difference(restored->at(i).pixels, restore(*device, network, windows[i].colour)), 1e-6) << i;
}

TEST_F(TorchDeviceTest, AnUpsamplerMakesEachWindowLarger) {
  const auto device = open();
  const NetworkInfo network = network_of_golden(folder_, "drct-nearest-x4");
  load(*device, network);
  const cv::Mat colour = random_picture(CV_8UC3);
  const cv::Mat restored = restore(*device, network, colour);
  ASSERT_EQ(restored.size(), cv::Size(240, 200));
  cv::Mat expected;
  colour.convertTo(expected, CV_32F, 1.0 / 255.0);
  for (int y = 0; y < restored.rows; y += 7) {
    for (int x = 0; x < restored.cols; x += 5) {
      const auto difference = restored.at<cv::Vec3f>(y, x) - expected.at<cv::Vec3f>(y / 4, x / 4);
      ASSERT_LT(cv::norm(difference, cv::NORM_INF), 1e-4) << x << ", " << y;
    }
  }
}

TEST_F(TorchDeviceTest, TheOtherViewOfADualPixelPictureMatters) {
  const auto device = open();
  const NetworkInfo network = network_of_golden(folder_, "restormer-dual-pixel");
  ASSERT_EQ(network.companion, Companion::kRightView);
  load(*device, network);
  const cv::Mat left = random_picture(CV_16UC3, 1);
  const cv::Mat same = restore(*device, network, left, left);
  const cv::Mat other = restore(*device, network, left, random_picture(CV_16UC3, 2));
  EXPECT_EQ(same.type(), CV_32FC3);
  EXPECT_GT(largest_difference(same, other), 1e-4);
}

TEST_F(TorchDeviceTest, TheOldVersionOfANetworkAnswersUntilTheNextButOne) {
  const auto device = open();
  const cv::Mat picture = random_picture(CV_8UC3);
  cv::Mat unchanged;
  picture.convertTo(unchanged, CV_32F, 1.0 / 255.0);

  const NetworkInfo first = version_of_student(folder_, "1", false);
  load(*device, first);
  const cv::Mat restored = restore(*device, first, picture);
  EXPECT_GT(largest_difference(restored, unchanged), 0.01);

  const NetworkInfo second = version_of_student(folder_, "2", true);
  EXPECT_EQ(second.name, first.name);
  EXPECT_NE(second.id(), first.id());
  load(*device, second);
  EXPECT_LT(largest_difference(restore(*device, second, picture), unchanged), 1e-6);
  EXPECT_EQ(largest_difference(restore(*device, first, picture), restored), 0.0) << "pictures that began with it end with it";
  load(*device, first);  // nothing to do, although its file is no more

  const NetworkInfo third = version_of_student(folder_, "3", true);
  load(*device, third);
  EXPECT_LT(largest_difference(restore(*device, second, picture), unchanged), 1e-6);
  EXPECT_FALSE(device->restore(first, {64, 64}, std::vector<Window>{{picture, {}}}));
  EXPECT_FALSE(device->load(first));
}

TEST_F(TorchDeviceTest, OtherNetworksStayWhenOneIsReplaced) {
  const auto device = open();
  const NetworkInfo other = listed(kModels / "student-tiny.safetensors");
  load(*device, other);
  for (const char* version : {"1", "2", "3"}) load(*device, version_of_student(folder_, version, true));
  EXPECT_FALSE(restore(*device, other, random_picture(CV_8UC3)).empty());
}

TEST_F(TorchDeviceTest, WeightsThatChangedSinceTheyWereListedAreRefused) {
  const auto device = open();
  const NetworkInfo before = version_of_student(folder_, "1", false);
  (void)version_of_student(folder_, "2", false);
  const auto loaded = device->load(before);
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, ErrorCode::kBadWeights);
  EXPECT_THAT(loaded.error().message, HasSubstr("changed since it was listed"));
  EXPECT_THAT(loaded.error().message, HasSubstr("SIGHUP"));

  const NetworkInfo gone = version_of_student(folder_, "3", false);
  std::filesystem::remove(gone.weights);
  EXPECT_FALSE(device->load(gone));
}

TEST_F(TorchDeviceTest, PixelsComeInTheDepthThatIsWanted) {
  const auto device = open();
  const NetworkInfo network = listed(kModels / "student-tiny.safetensors");
  load(*device, network);
  for (const int type : {CV_8UC3, CV_16UC3, CV_8UC1}) {
    const cv::Mat picture = random_picture(type);
    const std::vector<Window> windows{{picture, {}, CV_32F}, {picture, {}, CV_8U}, {picture, {}, CV_16U}};
    const auto restored = device->restore(network, {64, 64}, windows);
    ASSERT_TRUE(restored) << restored.error().message;
    const cv::Mat exact = restored->at(0).pixels;
    double least = 0;
    double most = 0;
    cv::minMaxIdx(exact.reshape(1), &least, &most);
    for (const Restored& one : *restored) {
      EXPECT_TRUE(one.values.is_finite);
      EXPECT_FLOAT_EQ(one.values.least, static_cast<float>(least));
      EXPECT_FLOAT_EQ(one.values.most, static_cast<float>(most));
    }
    const cv::Mat clamped = cv::max(cv::min(exact, 1.0), 0.0);
    cv::Mat back;
    restored->at(1).pixels.convertTo(back, CV_32F, 1 / 255.0);
    EXPECT_LE(largest_difference(back, clamped), 0.5001 / 255.0);
    restored->at(2).pixels.convertTo(back, CV_32F, 1 / 65535.0);
    EXPECT_LE(largest_difference(back, clamped), 0.51 / 65535.0);
  }
}

TEST_F(TorchDeviceTest, CallsAtOnceGiveWhatOneAloneGives) {
  const NetworkInfo student = listed(kModels / "student-tiny.safetensors");
  for (const NetworkInfo& network : {student, network_of_golden(folder_, "restormer-with-bias")}) {
    for (const bool deterministic : {false, true}) {
      const auto device = cpu_device(deterministic);
      load(*device, network);
      EXPECT_EQ(device->concurrency(), 2);
      EXPECT_EQ(device->compute_lanes(), 2);
      EXPECT_FALSE(device->computes_together());
      const std::array<cv::Mat, 2> pictures{random_picture(CV_8UC3, 1), random_picture(CV_8UC3, 2)};
      const std::array<cv::Mat, 2> alone{restore(*device, network, pictures[0]), restore(*device, network, pictures[1])};
      std::barrier start(2);
      std::vector<std::jthread> lanes;
      for (std::size_t lane = 0; lane < 2; ++lane) {
        lanes.emplace_back([&, lane] {
          start.arrive_and_wait();
          for (int i = 0; i < 5; ++i) {
            const double difference = largest_difference(restore(*device, network, pictures[lane]), alone[lane]);
            EXPECT_LE(difference, deterministic ? 0.0 : 1e-6) << network.name;
          }
        });
      }
    }
  }
}

TEST_F(TorchDeviceTest, PlainIsFp32WhateverWasChosen) {
  DeviceOptions options{"cpu", 2};
  options.precision = Precision::kMixed;
  const auto device = std::move(open_devices(options)->front());
  const NetworkInfo network = network_of_golden(folder_, "restormer-with-bias");
  if (device->precision_for(network).precision != Precision::kMixed) GTEST_SKIP() << "this CPU has no bf16";
  load(*device, network);
  const std::vector<Window> windows{{random_picture(CV_8UC3), {}}};
  RestoreOptions plain;
  plain.plain = true;
  const auto restored = device->restore(network, {64, 64}, windows, plain);
  ASSERT_TRUE(restored) << restored.error().message;

  options.precision = Precision::kFp32;
  options.optimize = false;
  const auto slow = std::move(open_devices(options)->front());
  load(*slow, network);
  EXPECT_LT(largest_difference(restored->front().pixels, restore(*slow, network, windows[0].colour)), 1e-6);
  EXPECT_GT(largest_difference(restored->front().pixels, restore(*device, network, windows[0].colour)), 1e-5);
}

TEST_F(TorchDeviceTest, SaysWhenItComputes) {
  const auto device = open();
  const NetworkInfo network = listed(kModels / "student-tiny.safetensors");
  load(*device, network);
  std::vector<bool> said;
  RestoreOptions options;
  options.computing = [&](bool begins) { said.push_back(begins); };
  ASSERT_TRUE(device->restore(network, {64, 64}, std::vector<Window>(3, {random_picture(CV_8UC3), {}}), options));
  EXPECT_EQ(said, (std::vector{true, false}));
}

TEST_F(TorchDeviceTest, ABatchThatDoesNotFitIsToldApartFromOtherFailures) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the sanitizer ends the process";
#endif
  const auto device = open();
  const NetworkInfo network = listed(kModels / "student-tiny.safetensors");
  load(*device, network);
  const std::vector<Window> windows{{random_picture(CV_8UC3), {}}};
  std::vector<bool> said;
  RestoreOptions options;
  options.computing = [&](bool begins) { said.push_back(begins); };
  const auto restored = device->restore(network, {1 << 20, 1 << 20}, windows, options);
  ASSERT_FALSE(restored);
  EXPECT_EQ(restored.error().code, ErrorCode::kOutOfDeviceMemory);
  EXPECT_THAT(restored.error().message, HasSubstr("cpu failed on a batch of 1"));
  EXPECT_EQ(said, (std::vector{true, false}));
  EXPECT_FALSE(restore(*device, network, windows[0].colour).empty()) << "a smaller one fits";
}

TEST_F(TorchDeviceTest, GivesBackWhatItKeeps) {
  const auto device = open();
  const NetworkInfo network = listed(kModels / "student-tiny.safetensors");
  load(*device, network);
  EXPECT_FALSE(restore(*device, network, random_picture(CV_8UC3)).empty());
  EXPECT_GT(TensorCache::instance().blocks().kept(), 0U);
  EXPECT_GT(PixelPool::instance().blocks().kept(), 0U);
  device->give_back_memory();
  EXPECT_EQ(TensorCache::instance().blocks().kept(), 0U);
  EXPECT_EQ(PixelPool::instance().blocks().kept(), 0U);
}

}  // namespace
}  // namespace retouchd::inference
