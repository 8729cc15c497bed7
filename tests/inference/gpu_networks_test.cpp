// DRCT and the built-in networks on a CUDA device, where there is one: as exact as their precision allows, without waiting.
#include <ATen/Context.h>
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <c10/core/InferenceMode.h>
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <string>

#include "golden_networks.h"
#include "inference/device.h"
#include "inference/networks/torch_network.h"

namespace retouchd::inference {
namespace {

/// While it lives, LibTorch throws at every call that waits for a CUDA device. There is no other way to say so without CUDA's
/// headers: the number is the only member of the object, 2 is c10::cuda::SyncDebugMode::L_ERROR.
class NoWaiting {
 public:
  NoWaiting() : mode_(static_cast<int*>(::dlsym(RTLD_DEFAULT, "_ZZN3c104cuda13warning_stateEvE14warning_state_"))) {
    if (mode_ != nullptr) *mode_ = 2;
  }
  ~NoWaiting() {
    if (mode_ != nullptr) *mode_ = 0;
  }
  NoWaiting(const NoWaiting&) = delete;
  NoWaiting& operator=(const NoWaiting&) = delete;

  [[nodiscard]] bool is_watched() const { return mode_ != nullptr; }

 private:
  int* mode_;
};

struct Case {
  const char* name;
  bool is_golden;
};

class GpuNetworks : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    if (const auto devices = open_devices({"cuda:0"}); !devices) GTEST_SKIP() << devices.error().message;
    info_ = GetParam().is_golden ? network_of_golden(folder_, GetParam().name)
                                 : listed(kModels / (std::string(GetParam().name) + ".safetensors"));
    at::manual_seed(1);
    input_ = at::rand({3, 64, 96, info_.input_channels()});
  }

  [[nodiscard]] std::unique_ptr<TorchNetwork> build(const ForwardOptions& options) const {
    auto network = load_torch_network(info_, options);
    if (!network) throw std::runtime_error(network.error().message);
    return std::move(*network);
  }

  [[nodiscard]] std::unique_ptr<TorchNetwork> on_gpu(Precision precision) const {
    ForwardOptions options;
    options.device = at::Device(at::kCUDA, 0);
    options.precision = precision;
    options.strip_pixels = std::int64_t{4} << 20U;
    at::globalContext().setAllowTF32CuBLAS(precision == Precision::kTf32);
    at::globalContext().setAllowTF32CuDNN(precision == Precision::kTf32);
    return build(options);
  }

  const c10::InferenceMode inference_;
  const TemporaryFolder folder_;
  NetworkInfo info_;
  at::Tensor input_;
};

TEST_P(GpuNetworks, EveryPrecisionIsWithinItsToleranceOfPlainFp32) {
  ForwardOptions plain;
  plain.optimize = false;
  const at::Tensor expected = build(plain)->forward(input_);
  for (const Precision precision : {Precision::kFp32, Precision::kTf32, Precision::kFp16, Precision::kBf16, Precision::kMixed}) {
    const at::Tensor result = on_gpu(precision)->forward(input_.to(at::Device(at::kCUDA, 0)));
    EXPECT_EQ(result.scalar_type(), at::kFloat);
    // Distances are metres, up to 65: there the tolerance is one of their share.
    const double scale = info_.companion == Companion::kDepth ? expected.abs().max().item<double>() : 1.0;
    EXPECT_LT((result.to(at::kCPU) - expected).abs().mean().item<double>(), scale * tolerance_of(precision))
        << name_of(precision);
  }
}

TEST_P(GpuNetworks, AForwardWaitsForNothingOnceItsShapeIsKnown) {
  for (const Precision precision : {Precision::kFp32, Precision::kBf16, Precision::kMixed}) {
    const auto network = on_gpu(precision);
    const at::Tensor pictures = input_.to(at::Device(at::kCUDA, 0));
    const at::Tensor first = network->forward(pictures).to(at::kCPU);
    at::Tensor second;
    {
      const NoWaiting guard;
      if (!guard.is_watched()) GTEST_SKIP() << "this LibTorch cannot tell";
      ASSERT_NO_THROW(second = network->forward(pictures)) << name_of(precision);
    }
    EXPECT_TRUE(second.to(at::kCPU).allclose(first, 1e-4, 1e-5)) << name_of(precision);
  }
}

INSTANTIATE_TEST_SUITE_P(Networks, GpuNetworks,
                         testing::Values(Case{"student-tiny", false}, Case{"rgbd-tiny", false}, Case{"drct-x2", true},
                                         Case{"drct-x4", true}),
                         [](const auto& suite) {
                           std::string name = suite.param.name;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace retouchd::inference
