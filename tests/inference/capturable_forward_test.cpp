// A CUDA graph can hold a forward that hands the device one operation after the other and never looks at a result. Which
// operations a forward is made of does not depend on the device, apart from a few inside the attention, so a CPU can tell.
#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <ATen/record_function.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <set>
#include <string>

#include "golden_networks.h"
#include "inference/networks/torch_network.h"

namespace retouchd::inference {
namespace {

/// Operations that wait for the device to know a value, a count or a shape.
const std::set<std::string> kWaiting{"aten::_local_scalar_dense",
                                     "aten::bincount",
                                     "aten::equal",
                                     "aten::is_nonzero",
                                     "aten::item",
                                     "aten::masked_select",
                                     "aten::nonzero",
                                     "aten::nonzero_numpy",
                                     "aten::repeat_interleave",
                                     "aten::_unique2",
                                     "aten::histc"};
/// Operations that make a tensor on the CPU or take one to another device.
const std::set<std::string> kMoving{"aten::lift_fresh", "aten::pin_memory", "aten::from_file", "aten::arange", "aten::roll"};

/// Names of operations that this thread calls while it lives.
class Calls {
 public:
  Calls() {
    recorded_ = &names_;
    handle_ = at::addThreadLocalCallback(
        at::RecordFunctionCallback([](const at::RecordFunction& call) -> std::unique_ptr<at::ObserverContext> {
          recorded_->emplace(call.name());
          return nullptr;
        }).scopes({at::RecordScope::FUNCTION}));
  }
  ~Calls() { at::removeCallback(handle_); }
  Calls(const Calls&) = delete;
  Calls& operator=(const Calls&) = delete;

  [[nodiscard]] const std::multiset<std::string>& names() const { return names_; }

 private:
  static thread_local std::multiset<std::string>* recorded_;
  std::multiset<std::string> names_;
  at::CallbackHandle handle_{};
};

thread_local std::multiset<std::string>* Calls::recorded_ = nullptr;

struct Case {
  const char* name;
  bool is_golden;
  Precision precision;
};

class CapturableForward : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    threads_ = at::get_num_threads();
    at::set_num_threads(1);  // so that all is called on this thread
    info_ = GetParam().is_golden ? network_of_golden(folder_, GetParam().name)
                                 : listed(kModels / (std::string(GetParam().name) + ".safetensors"));
    ForwardOptions options;
    options.precision = GetParam().precision;
    options.strip_pixels = std::int64_t{4} << 20U;  // as on a GPU
    auto network = load_torch_network(info_, options);
    ASSERT_TRUE(network) << network.error().message;
    network_ = std::move(*network);
  }
  void TearDown() override { at::set_num_threads(threads_); }

  [[nodiscard]] at::Tensor input() const { return at::rand({2, 64, 64, info_.input_channels()}); }

  const c10::InferenceMode inference_;
  const TemporaryFolder folder_;
  NetworkInfo info_;
  std::unique_ptr<TorchNetwork> network_;
  int threads_ = 1;
};

TEST_P(CapturableForward, CallsNothingThatWaitsForTheDevice) {
  const at::Tensor pictures = input();
  (void)network_->forward(pictures);  // what comes before a capture
  const Calls calls;
  (void)network_->forward(pictures);
  EXPECT_GT(calls.names().count("aten::empty"), 0U);  // the callback works
  for (const auto* forbidden : {&kWaiting, &kMoving}) {
    for (const std::string& name : *forbidden) EXPECT_EQ(calls.names().count(name), 0U) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Networks, CapturableForward,
    testing::Values(Case{"student-tiny", false, Precision::kFp32}, Case{"student-tiny", false, Precision::kMixed},
                    Case{"rgbd-tiny", false, Precision::kFp32}, Case{"drct-x4", true, Precision::kFp32},
                    Case{"drct-x3", true, Precision::kMixed}, Case{"drct-x2", true, Precision::kBf16},
                    Case{"restormer-with-bias", true, Precision::kFp32}, Case{"restormer-biases", true, Precision::kMixed},
                    Case{"restormer-dual-pixel", true, Precision::kBf16}, Case{"restormer-local", true, Precision::kMixed},
                    Case{"restormer-spatial-windows", true, Precision::kMixed}),
    [](const auto& suite) {
      std::string name = std::string(suite.param.name) + "_" + std::string(name_of(suite.param.precision));
      std::replace(name.begin(), name.end(), '-', '_');
      return name;
    });

}  // namespace
}  // namespace retouchd::inference
