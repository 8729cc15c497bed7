// What a CUDA device promises beyond any device (inference/device.h). Everything but the first test needs one.
#include <ATen/Context.h>
#include <ATen/DeviceAccelerator.h>
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/CachingHostAllocator.h>
#include <c10/core/AllocatorConfig.h>
#include <c10/core/InferenceMode.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <array>
#include <barrier>
#include <cstdlib>
#include <opencv2/core.hpp>
#include <thread>

#include "golden_networks.h"
#include "inference/cuda_settings.h"
#include "inference/graph_cache.h"
#include "inference/networks/torch_network.h"
#include "inference/open_graphs.h"
#include "inference/precision.h"

namespace retouchd::inference {
namespace {

const at::Device kDevice(at::kCUDA, 0);

TEST(CudaModuleTest, TheModuleOfCudaGraphsFitsTheProgram) {
  if (::dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) == nullptr)
    GTEST_SKIP() << "this LibTorch has no CUDA: " << ::dlerror();
  const auto graphs = open_graphs(kDevice);
  if (!graphs && graphs.error().message.find("cannot open shared object") != std::string::npos)
    GTEST_SKIP() << "this build has none: " << graphs.error().message;
  EXPECT_TRUE(graphs) << graphs.error().message;
}

TEST(CudaModuleTest, ACpuHasNoCudaGraphs) { EXPECT_FALSE(open_graphs(at::kCPU)); }

TEST(CudaSettingsTest, SegmentsThatADeviceCannotGrowAreTurnedOff) {
  if (open_devices({"cuda:0"})) GTEST_SKIP() << "the device here can";
  if (std::getenv("PYTORCH_ALLOC_CONF") != nullptr) GTEST_SKIP() << "PYTORCH_ALLOC_CONF is set";
  set_up_cuda(kDevice, true);
  EXPECT_FALSE(c10::CachingAllocator::AcceleratorAllocatorConfig::use_expandable_segments());
  EXPECT_TRUE(at::globalContext().deterministicCuDNN());
  EXPECT_FALSE(at::globalContext().benchmarkCuDNN());
  set_up_cuda(kDevice, false);
  EXPECT_FALSE(at::globalContext().deterministicCuDNN());
  EXPECT_TRUE(at::globalContext().benchmarkCuDNN());
}

class CudaTest : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = open_devices({"cuda:0"});
    if (!opened) GTEST_SKIP() << "no CUDA device here: " << opened.error().message;
    device_ = std::move(opened->front());
  }

  static std::unique_ptr<Device> open(const DeviceOptions& options) {
    auto opened = open_devices(options);
    if (!opened) throw std::runtime_error(opened.error().message);
    return std::move(opened->front());
  }

  static DeviceOptions with_graphs() {
    DeviceOptions options{"cuda:0"};
    options.cuda_graphs = true;
    return options;
  }

  std::vector<NetworkInfo> networks() {
    return {network_of_golden(folder_, "restormer-with-bias"), network_of_golden(folder_, "drct-nearest-x4"),
            listed(kModels / "student-tiny.safetensors")};
  }

  static std::vector<Window> random_batch(int windows, std::uint64_t seed, cv::Size size = {64, 64}) {
    std::vector<Window> batch;
    for (int i = 0; i < windows; ++i) {
      Window window;
      window.colour.create(size, CV_8UC3);
      cv::RNG(seed + static_cast<std::uint64_t>(i)).fill(window.colour, cv::RNG::UNIFORM, 0, 256);
      batch.push_back(window);
    }
    return batch;
  }

  static void load(Device& device, const NetworkInfo& network) {
    const auto loaded = device.load(network);
    ASSERT_TRUE(loaded) << loaded.error().message;
  }

  static std::vector<Restored> restore(Device& device, const NetworkInfo& network, const std::vector<Window>& batch,
                                       cv::Size tensor = {64, 64}) {
    auto restored = device.restore(network, tensor, batch);
    if (!restored) throw std::runtime_error(restored.error().message);
    return *std::move(restored);
  }

  static double largest_difference(const std::vector<Restored>& a, const std::vector<Restored>& b) {
    double largest = 0;
    for (std::size_t i = 0; i < a.size(); ++i) largest = std::max(largest, cv::norm(a[i].pixels, b.at(i).pixels, cv::NORM_INF));
    return largest;
  }

  static std::int64_t reserved() { return at::accelerator::getDeviceStats(0).reserved_bytes.at(0).current; }
  static std::int64_t pinned() { return at::getHostAllocator(at::kCUDA)->get_stats().allocated_bytes.current; }

  const TemporaryFolder folder_;
  std::unique_ptr<Device> device_;
};

TEST_F(CudaTest, ARecordedPassComputesWhatTheNetworkComputes) {
  const c10::InferenceMode inference;
  const c10::StreamGuard on_stream(c10::impl::VirtualGuardImpl(at::kCUDA).getNewStream(kDevice));
  auto graphs = open_graphs(kDevice);
  ASSERT_TRUE(graphs) << graphs.error().message;
  for (const NetworkInfo& info : networks()) {
    ForwardOptions options;
    options.device = kDevice;
    const auto network = load_torch_network(info, options);
    ASSERT_TRUE(network) << network.error().message;
    const Forward forward = [&](const at::Tensor& input) { return (*network)->forward(input); };
    const at::Tensor like = at::rand({2, 64, 64, info.input_channels()}, at::TensorOptions().device(kDevice));
    static_cast<void>(forward(like));
    static_cast<void>(forward(like));
    std::unique_ptr<RecordedForward> recorded;
    try {
      recorded = (*graphs)->record(like, forward);
    } catch (const std::exception& error) {
      ADD_FAILURE() << info.name << " cannot be recorded: " << error.what();
      continue;
    }
    EXPECT_GT(recorded->held(), Bytes{0}) << info.name;
    at::Tensor last;
    for (int i = 0; i < 4; ++i) {
      const at::Tensor input = at::rand(like.sizes(), like.options());
      const at::Tensor output = recorded->replay(input);
      EXPECT_LE((output - forward(input)).abs().max().item<float>(), 1e-5F) << info.name;
      EXPECT_FALSE(last.defined() && at::equal(last, output)) << info.name;
      last = output;
    }
  }
}

TEST_F(CudaTest, ANetworkThatWaitsForTheDeviceIsNotRecordedAndSpoilsNothing) {
  const c10::InferenceMode inference;
  const c10::StreamGuard on_stream(c10::impl::VirtualGuardImpl(at::kCUDA).getNewStream(kDevice));
  auto graphs = open_graphs(kDevice);
  ASSERT_TRUE(graphs) << graphs.error().message;
  GraphCache cache("cuda:0", *std::move(graphs));
  const Forward waits = [](const at::Tensor& input) { return input * input.max().item<float>(); };
  const Forward doubles = [](const at::Tensor& input) { return input * 2; };
  for (int i = 0; i < 6; ++i) {
    const at::Tensor input = at::rand({1, 64, 64, 3}, at::TensorOptions().device(kDevice));
    EXPECT_TRUE(at::equal(cache.run("waits@1", input, waits), waits(input)));
  }
  EXPECT_EQ(cache.held(), Bytes{0});
  for (int i = 0; i < 6; ++i) {
    const at::Tensor input = at::rand({1, 64, 64, 3}, at::TensorOptions().device(kDevice));
    EXPECT_TRUE(at::equal(cache.run("doubles@1", input, doubles), input * 2));
  }
  EXPECT_GT(cache.held(), Bytes{0});
  cache.release();
  for (int i = 0; i < 6; ++i) {
    const at::Tensor input = at::rand({1, 64, 64, 3}, at::TensorOptions().device(kDevice));
    EXPECT_TRUE(at::equal(cache.run("doubles@1", input, doubles), input * 2));
  }
}

TEST_F(CudaTest, BatchesAreTheSameWithAndWithoutGraphs) {
  const auto with = open(with_graphs());
  for (const NetworkInfo& network : networks()) {
    load(*device_, network);
    load(*with, network);
    for (std::uint64_t i = 0; i < 6; ++i) {
      for (const int windows : {1, 3}) {
        const auto batch = random_batch(windows, 10 * i);
        EXPECT_LE(largest_difference(restore(*with, network, batch), restore(*device_, network, batch)), 1e-3) << network.name;
      }
    }
    with->give_back_memory();
    const auto batch = random_batch(3, 99);
    EXPECT_LE(largest_difference(restore(*with, network, batch), restore(*device_, network, batch)), 1e-3) << network.name;
  }
}

TEST_F(CudaTest, EveryPrecisionIsWithinItsTolerance) {
  const auto plain = cpu_device();
  for (const NetworkInfo& network : networks()) {
    load(*plain, network);
    const auto batch = random_batch(2, 7);
    RestoreOptions operation_by_operation;
    operation_by_operation.plain = true;
    const auto expected = plain->restore(network, {64, 64}, batch, operation_by_operation);
    ASSERT_TRUE(expected) << expected.error().message;
    for (const Precision precision :
         {Precision::kFp32, Precision::kTf32, Precision::kFp16, Precision::kBf16, Precision::kMixed, Precision::kInt8}) {
      DeviceOptions options{"cuda:0"};
      options.precision = precision;
      const auto device = open(options);
      load(*device, network);
      const Precision used = device->precision_for(network).precision;
      const auto restored = restore(*device, network, batch);
      for (std::size_t i = 0; i < batch.size(); ++i) {
        const cv::Mat& pixels = expected->at(i).pixels;
        const double mean = cv::norm(restored[i].pixels, pixels, cv::NORM_L1) / static_cast<double>(pixels.total() * 3);
        EXPECT_LE(mean, tolerance_of(used)) << network.name << " in " << name_of(used);
      }
    }
  }
}

TEST_F(CudaTest, TwoCallsAtOnceGiveWhatEachAloneGives) {
  for (const bool graphs : {false, true}) {
    DeviceOptions options = with_graphs();
    options.cuda_graphs = graphs;
    const auto device = open(options);
    for (const NetworkInfo& network : networks()) {
      load(*device_, network);
      load(*device, network);
      std::array<std::vector<std::vector<Window>>, 2> batches;
      std::array<std::vector<std::vector<Restored>>, 2> alone;
      for (std::size_t t = 0; t < 2; ++t) {
        for (std::uint64_t i = 0; i < 12; ++i) {
          batches[t].push_back(random_batch(2, 1000 * t + 10 * i));
          alone[t].push_back(restore(*device_, network, batches[t].back()));
        }
      }
      std::barrier start(2);
      std::array<double, 2> largest{};
      std::array<std::jthread, 2> threads;
      for (std::size_t t = 0; t < 2; ++t) {
        threads[t] = std::jthread([&, t] {
          start.arrive_and_wait();
          for (std::size_t i = 0; i < batches[t].size(); ++i) {
            const auto restored = device->restore(network, {64, 64}, batches[t][i]);
            largest[t] = restored ? std::max(largest[t], largest_difference(*restored, alone[t][i])) : 1e9;
          }
        });
      }
      for (auto& thread : threads) thread.join();
      EXPECT_LE(largest[0], 1e-3) << network.name << (graphs ? " with graphs" : "");
      EXPECT_LE(largest[1], 1e-3) << network.name << (graphs ? " with graphs" : "");
    }
  }
}

TEST_F(CudaTest, MemoryThatRunsOutIsReportedAndSurvived) {
  const auto device = open(with_graphs());
  const NetworkInfo network = network_of_golden(folder_, "restormer-with-bias");
  load(*device, network);
  for (std::uint64_t i = 0; i < 5; ++i) restore(*device, network, random_batch(2, i));
  const auto before = restore(*device, network, random_batch(2, 1));
  {
    at::accelerator::emptyCache();
    std::vector<at::Tensor> filling;  // all but what the small batch needs
    const auto free = static_cast<std::int64_t>(at::accelerator::getMemoryInfo(0).first);
    filling.push_back(at::empty({free - (std::int64_t{256} << 20)}, at::TensorOptions().dtype(at::kByte).device(kDevice)));
    const auto large = device->restore(network, {2048, 2048}, random_batch(16, 3, {2048, 2048}));
    ASSERT_FALSE(large);
    EXPECT_EQ(large.error().code, ErrorCode::kOutOfDeviceMemory) << large.error().message;
    EXPECT_LE(largest_difference(restore(*device, network, random_batch(2, 1)), before), 1e-3);
  }
  device->give_back_memory();
  EXPECT_LE(largest_difference(restore(*device, network, random_batch(2, 1)), before), 1e-3);
}

TEST_F(CudaTest, MemoryDoesNotGrowFromBatchToBatch) {
  for (const bool graphs : {false, true}) {
    DeviceOptions options = with_graphs();
    options.cuda_graphs = graphs;
    const auto device = open(options);
    for (const NetworkInfo& network : networks()) {
      load(*device, network);
      for (std::uint64_t i = 0; i < 6; ++i) restore(*device, network, random_batch(4, i));
      const std::int64_t of_device = reserved();
      const std::int64_t of_host = pinned();
      for (std::uint64_t i = 0; i < 50; ++i) restore(*device, network, random_batch(4, i));
      EXPECT_LE(reserved(), of_device) << network.name << (graphs ? " with graphs" : "");
      EXPECT_LE(pinned(), of_host) << network.name << (graphs ? " with graphs" : "");
    }
    device->give_back_memory();
  }
}

TEST_F(CudaTest, WhatAPassTakesIsTheSameWithAndWithoutGraphs) {
  const auto with = open(with_graphs());
  const NetworkInfo network = network_of_golden(folder_, "restormer-with-bias");
  load(*device_, network);
  load(*with, network);
  for (std::uint64_t i = 0; i < 6; ++i) restore(*with, network, random_batch(2, i, {256, 256}), {256, 256});
  const auto expected = device_->measure(network, {256, 256}, 2);
  const auto measured = with->measure(network, {256, 256}, 2);
  ASSERT_TRUE(expected) << expected.error().message;
  ASSERT_TRUE(measured) << measured.error().message;
  EXPECT_EQ(measured->peak, expected->peak);
  EXPECT_GT(measured->peak, Bytes{0});
}

TEST_F(CudaTest, MemoryForTensorsIsNotWhatTheLastBatchLeftOver) {
  const NetworkInfo network = network_of_golden(folder_, "restormer-with-bias");
  load(*device_, network);
  const Bytes before = device_->memory().value();
  restore(*device_, network, random_batch(4, 1, {512, 512}), {512, 512});
  // Libraries take some for themselves at their first use.
  EXPECT_GT(device_->memory().value() + mebibytes(512), before);
  EXPECT_GT(reserved(), 0);
}

}  // namespace
}  // namespace retouchd::inference
