// What crosses the bus to a GPU in whole numbers must be, bit for bit, what the host would have computed.
#include "inference/batch_tensors.h"

#include <ATen/Context.h>
#include <ATen/Functions.h>
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <limits>
#include <opencv2/core.hpp>
#include <vector>

#include "inference/tensor_pictures.h"

namespace retouchd::inference {
namespace {

const cv::Size kTensor{24, 16};

cv::Mat noise(cv::Size size, int type, cv::RNG& random) {
  cv::Mat picture(size, type);
  const int depth = CV_MAT_DEPTH(type);
  random.fill(picture, cv::RNG::UNIFORM, 0, depth == CV_8U ? 256 : depth == CV_16U ? 65536 : 1);
  return picture;
}

NetworkInfo network(int channels, Companion companion = Companion::kNone, int scale = 1, double range = 1) {
  NetworkInfo info;
  info.channels = channels;
  info.companion = companion;
  info.scale = scale;
  info.range = range;
  return info;
}

/// Every kind of network that windows can meet.
std::vector<NetworkInfo> networks() {
  std::vector<NetworkInfo> all;
  for (const int scale : {1, 2}) {
    for (const double range : {1.0, 255.0}) {
      for (const int channels : {1, 3}) {
        for (const Companion companion : {Companion::kNone, Companion::kDepth, Companion::kRightView})
          all.push_back(network(channels, companion, scale, range));
      }
    }
  }
  return all;
}

/// A window that fills the tensor every other time.
Window window_for(const NetworkInfo& info, std::span<const int> depths, cv::RNG& random) {
  const auto any = [&random](std::span<const int> from) { return from[random.uniform(0, static_cast<int>(from.size()))]; };
  const std::array<int, 2> channels{1, 3};
  const std::array<int, 3> results{CV_8U, CV_16U, CV_32F};
  const cv::Size size = random.uniform(0, 2) == 0 ? kTensor : cv::Size(random.uniform(9, 25), random.uniform(5, 17));
  Window window;
  window.colour = noise(size, CV_MAKETYPE(any(depths), any(channels)), random);
  if (info.companion == Companion::kDepth) window.companion = noise(size, CV_16UC1, random);
  if (info.companion == Companion::kRightView) window.companion = noise(size, CV_MAKETYPE(any(depths), any(channels)), random);
  window.depth = any(results);
  return window;
}

std::vector<Window> windows_for(const NetworkInfo& info, std::span<const int> depths, cv::RNG& random) {
  std::vector<Window> windows;
  const int count = random.uniform(1, 7);
  while (static_cast<int>(windows.size()) < count) {
    windows.push_back(window_for(info, depths, random));
    if (random.uniform(0, 2) == 0) windows.push_back(windows.back());  // neighbours of one kind
  }
  return windows;
}

bool same_bits(const at::Tensor& a, const at::Tensor& b) {
  return a.sizes() == b.sizes() && a.scalar_type() == b.scalar_type() && a.is_contiguous() && b.is_contiguous() &&
         std::memcmp(a.data_ptr(), b.data_ptr(), a.nbytes()) == 0;
}

bool same_bits(const cv::Mat& a, const cv::Mat& b) {
  if (a.size() != b.size() || a.type() != b.type()) return false;
  const std::size_t bytes = static_cast<std::size_t>(a.cols) * a.elemSize();
  for (int y = 0; y < a.rows; ++y)
    if (std::memcmp(a.ptr(y), b.ptr(y), bytes) != 0) return false;
  return true;
}

/// What a network might answer: numbers around [0, range], halves of whole numbers among them.
at::Tensor answer(const NetworkInfo& info, std::span<const Window> windows, cv::RNG& random) {
  std::int64_t places = 0;
  for (const Window& window : windows) places += places_in_batch(info, window);
  at::Tensor output = at::empty({places, kTensor.height * info.scale, kTensor.width * info.scale, info.output_channels()});
  auto* numbers = output.data_ptr<float>();
  for (std::int64_t i = 0; i < output.numel(); ++i) {
    const double number = random.uniform(0, 4) > 0 ? random.uniform(-0.2, 1.2) : (random.uniform(0, 256) + 0.5) / 255.0;
    numbers[i] = static_cast<float>(number / output_factor(info));
  }
  return output;
}

/// `output` through both ways gives the same pictures.
void expect_same_pictures(const NetworkInfo& info, const at::Tensor& output, std::span<const Window> windows,
                          at::Device device = at::kCPU) {
  std::vector<Restored> expected(windows.size());
  std::vector<Restored> restored(windows.size());
  to_pictures(info, output, windows, expected);
  const BatchLayout layout = lay_out(info, windows);
  std::vector<at::Tensor> narrowed = narrow(output.to(device), layout);
  for (at::Tensor& tensor : narrowed) {
    ASSERT_TRUE(tensor.is_contiguous());
    tensor = tensor.to(at::kCPU);
  }
  to_pictures(layout, narrowed, restored);
  for (std::size_t i = 0; i < windows.size(); ++i) {
    const bool has_no_nan = cv::checkRange(expected[i].pixels);
    if (has_no_nan || expected[i].pixels.depth() != CV_32F) {
      EXPECT_TRUE(same_bits(restored[i].pixels, expected[i].pixels)) << "window " << i << " of " << windows.size();
    }
    ASSERT_EQ(restored[i].values.is_finite, expected[i].values.is_finite) << i;
    if (!expected[i].values.is_finite) continue;
    EXPECT_EQ(restored[i].values.least, expected[i].values.least) << i;
    EXPECT_EQ(restored[i].values.most, expected[i].values.most) << i;
  }
}

void expect_same_input(const NetworkInfo& info, std::span<const Window> windows, at::Device device = at::kCPU) {
  const BatchLayout layout = lay_out(info, windows);
  const at::Tensor packed = to_tensor(info, kTensor, windows, layout.depth);
  EXPECT_TRUE(same_bits(widen(packed.to(device), layout).to(at::kCPU), to_tensor(info, kTensor, windows)))
      << windows.size() << " windows, " << info.channels << " channels, range " << info.range;
}

TEST(BatchTensors, EveryWholeNumberBecomesTheSameFloat) {
  for (const double range : {1.0, 255.0, 3.0}) {
    for (const int depth : {CV_8U, CV_16U}) {
      cv::Mat all(256, 256, CV_MAKETYPE(depth, 1));
      for (int i = 0; i < 65536; ++i) {
        if (depth == CV_8U) all.at<std::uint8_t>(i / 256, i % 256) = static_cast<std::uint8_t>(i % 256);
        if (depth == CV_16U) all.at<std::uint16_t>(i / 256, i % 256) = static_cast<std::uint16_t>(i);
      }
      const NetworkInfo info = network(1, Companion::kNone, 1, range);
      const std::vector<Window> windows{{all, {}}};
      const BatchLayout layout = lay_out(info, windows);
      EXPECT_EQ(layout.depth, depth);
      const at::Tensor packed = to_tensor(info, all.size(), windows, layout.depth);
      EXPECT_EQ(packed.scalar_type(), depth == CV_8U ? at::kByte : at::kShort);
      EXPECT_TRUE(same_bits(widen(packed, layout), to_tensor(info, all.size(), windows))) << depth << ", range " << range;
    }
  }
}

TEST(BatchTensors, InputsOfAnyMixAreWhatTheHostConverts) {
  const std::vector<std::vector<int>> mixes{{CV_8U}, {CV_16U}, {CV_8U, CV_16U}, {CV_8U, CV_16U, CV_32F}, {CV_32F}};
  cv::RNG random(3);
  for (const NetworkInfo& info : networks()) {
    for (const auto& depths : mixes) {
      for (int i = 0; i < 10; ++i) expect_same_input(info, windows_for(info, depths, random));
    }
  }
}

TEST(BatchTensors, ResultsOfAnyMixAreWhatTheHostConverts) {
  const std::array<int, 3> depths{CV_8U, CV_16U, CV_32F};
  cv::RNG random(4);
  for (const NetworkInfo& info : networks()) {
    for (int i = 0; i < 30; ++i) {
      const std::vector<Window> windows = windows_for(info, depths, random);
      expect_same_pictures(info, answer(info, windows, random), windows);
    }
  }
}

TEST(BatchTensors, EveryHalfIsRoundedAsTheHostRoundsIt) {
  for (const int depth : {CV_8U, CV_16U}) {
    const int full = depth == CV_8U ? 255 : 65535;
    const cv::Size size(512, 1024);
    at::Tensor output = at::empty({1, size.height, size.width, 1});
    auto* numbers = output.data_ptr<float>();
    for (std::int64_t i = 0; i < output.numel(); ++i) {
      // Each half, and the fp32 numbers beside it.
      const float half = (static_cast<float>(i / 7 % (full + 1)) + 0.5F) / static_cast<float>(full);
      numbers[i] = half * (1.0F + static_cast<float>(i % 7 - 3) * std::numeric_limits<float>::epsilon() / 2);
    }
    Window window{cv::Mat::zeros(size, CV_8UC1), {}, depth};
    expect_same_pictures(network(1), output, std::span(&window, 1));
  }
}

TEST(BatchTensors, WhatIsNoNumberIsFoundAndBecomesTheSamePixel) {
  const std::array<int, 2> depths{CV_8U, CV_16U};
  const float infinity = std::numeric_limits<float>::infinity();
  cv::RNG random(5);
  for (const NetworkInfo& info : networks()) {
    for (const float bad : {std::numeric_limits<float>::quiet_NaN(), infinity, -infinity, 3e38F, -3e38F}) {
      const std::vector<Window> windows = windows_for(info, depths, random);
      at::Tensor output = answer(info, windows, random);
      for (int i = 0; i < 3; ++i) output.data_ptr<float>()[random.uniform(0, static_cast<int>(output.numel()))] = bad;
      expect_same_pictures(info, output, windows);
    }
  }
}

TEST(BatchTensors, PaddingDoesNotCountAmongTheValues) {
  const NetworkInfo info = network(3);
  cv::RNG random(6);
  const std::vector<Window> windows{{noise({20, 10}, CV_8UC3, random), {}, CV_8U}};
  at::Tensor output = at::full({1, kTensor.height, kTensor.width, 3}, 0.5F);
  output.narrow(2, 20, 4).fill_(std::numeric_limits<float>::quiet_NaN());
  output.narrow(1, 10, 6).fill_(100);
  std::vector<Restored> restored(1);
  const BatchLayout layout = lay_out(info, windows);
  to_pictures(layout, narrow(output, layout), restored);
  EXPECT_TRUE(restored[0].values.is_finite);
  EXPECT_EQ(restored[0].values.least, 0.5F);
  EXPECT_EQ(restored[0].values.most, 0.5F);
  EXPECT_EQ(restored[0].pixels.size(), cv::Size(20, 10));
}

TEST(BatchTensors, PicturesOutliveTheTensorsTheyCameFrom) {
  const NetworkInfo info = network(3);
  cv::RNG random(7);
  const std::vector<Window> windows{{noise(kTensor, CV_8UC3, random), {}, CV_8U}};
  const BatchLayout layout = lay_out(info, windows);
  const std::vector<at::Tensor> narrowed = narrow(to_tensor(info, kTensor, windows), layout);
  std::vector<Restored> restored(1);
  to_pictures(layout, narrowed, restored);
  narrowed.front().zero_();
  EXPECT_TRUE(same_bits(restored[0].pixels, windows[0].colour)) << "a network that changes nothing gives the picture back";
}

TEST(BatchTensors, AGpuComputesWhatTheHostComputes) {
  if (!at::hasCUDA()) GTEST_SKIP() << "no CUDA device";
  const std::array<int, 3> depths{CV_8U, CV_16U, CV_32F};
  cv::RNG random(8);
  for (const NetworkInfo& info : networks()) {
    for (int i = 0; i < 10; ++i) {
      const std::vector<Window> windows = windows_for(info, std::span(depths).first(i % 3 + 1), random);
      expect_same_input(info, windows, at::kCUDA);
      at::Tensor output = answer(info, windows, random);
      if (i % 2 == 0) output.data_ptr<float>()[0] = std::numeric_limits<float>::quiet_NaN();
      expect_same_pictures(info, output, windows, at::kCUDA);
    }
  }
}

}  // namespace
}  // namespace retouchd::inference
