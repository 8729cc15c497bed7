// The cases of the kernels' tests on a CUDA device, where there is one.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include "tests/kernels/depthwise_gate_cases.h"
#include "tests/kernels/device_runner.h"
#include "tests/kernels/feed_forward_cases.h"
#include "tests/kernels/gram_cases.h"
#include "tests/kernels/mixing_cases.h"
#include "tests/kernels/pointwise_bytes_cases.h"
#include "tests/kernels/pointwise_cases.h"

namespace retouchd::kernels {
namespace {

const KernelSet* open_kernels() {
  void* const module = ::dlopen("libretouchd_kernels.so", RTLD_NOW | RTLD_LOCAL);
  if (module == nullptr) return nullptr;
  const auto entry = reinterpret_cast<const KernelSet* (*)(int)>(::dlsym(module, "retouchd_kernels"));
  return entry == nullptr ? nullptr : entry(kKernelVersion);
}

class OnDevice : public testing::Test {
 protected:
  OnDevice() : kernels_(open_kernels()) {}

  void SetUp() override {
    ASSERT_NE(kernels_, nullptr) << "libretouchd_kernels.so is not where the tests look for it";
    int devices = 0;
    if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) GTEST_SKIP() << "there is no CUDA device";
    ASSERT_EQ(kernels_->use_device(0), nullptr);
  }

  [[nodiscard]] DeviceRunner device() const { return DeviceRunner(*kernels_); }

  const KernelSet* const kernels_;
};

// Tolerances are those of the same cases in the emulator.

TEST_F(OnDevice, DepthwiseGate) {
  for (const auto& c : reference::depthwise_gate_cases()) {
    EXPECT_LT(reference::error_of_depthwise_gate<Half>(c, device()), 5e-4) << c;
    EXPECT_LT(reference::error_of_depthwise_gate<Bfloat16>(c, device()), 4e-3) << c;
  }
}

TEST_F(OnDevice, Pointwise) {
  for (const auto& c : reference::pointwise_cases()) {
    EXPECT_LT(reference::error_of_pointwise<Half>(c, device()), 5e-4) << c;
    EXPECT_LT(reference::error_of_pointwise<Bfloat16>(c, device()), 4e-3) << c;
  }
}

TEST_F(OnDevice, PointwiseBytes) {
  for (const auto& c : reference::pointwise_bytes_cases()) {
    EXPECT_LT(reference::errors_of_pointwise_bytes<Half>(c, device()).of_result, 1.5e-2) << c;
    EXPECT_LT(reference::errors_of_pointwise_bytes<Bfloat16>(c, device()).of_result, 1.5e-2) << c;
  }
}

template <typename T, typename Errors>
void expect_gram(const Errors& errors_of) {
  const double tolerance = std::is_same_v<T, Half> ? 1e-3 : 8e-3;
  const reference::GramErrors errors = errors_of;
  EXPECT_LT(errors.v, tolerance);
  EXPECT_LT(errors.gram, tolerance);
  EXPECT_LT(errors.squares, tolerance);
}

TEST_F(OnDevice, DepthwiseGram) {
  for (const auto& c : reference::depthwise_gram_cases()) {
    SCOPED_TRACE(testing::PrintToString(c));
    expect_gram<Half>(reference::errors_of_depthwise_gram<Half>(c, device()));
    expect_gram<Bfloat16>(reference::errors_of_depthwise_gram<Bfloat16>(c, device()));
  }
}

TEST_F(OnDevice, QkvGram) {
  for (const auto& c : reference::qkv_gram_cases()) {
    if (!kernels_->fits(OnChip::kQkvGram, c.channels)) continue;
    SCOPED_TRACE(testing::PrintToString(c));
    expect_gram<Half>(reference::errors_of_qkv_gram<Half>(c, device()));
    expect_gram<Bfloat16>(reference::errors_of_qkv_gram<Bfloat16>(c, device()));
  }
}

TEST_F(OnDevice, Mixing) {
  for (const auto& c : reference::mixing_cases()) {
    EXPECT_LT(reference::error_of_mixing<Half>(c, device()), 5e-4) << c;
    EXPECT_LT(reference::error_of_mixing<Bfloat16>(c, device()), 4e-3) << c;
  }
}

TEST_F(OnDevice, FeedForward) {
  for (reference::FeedForwardCase c : reference::feed_forward_cases()) {
    if (!kernels_->fits(OnChip::kFeedForward, c.channels)) continue;
    EXPECT_LT(reference::error_of_feed_forward<Half>(c, device()), 1e-3) << c;
    EXPECT_LT(reference::error_of_feed_forward<Bfloat16>(c, device()), 8e-3) << c;
    c.bytes = true;
    EXPECT_LT(reference::error_of_feed_forward<Bfloat16>(c, device()), 2e-2) << c;
  }
}

/// A kernel that reads or writes beside its maps shows here, or under compute-sanitizer.
TEST_F(OnDevice, RepeatsItselfBitForBit) {
  const auto c = reference::feed_forward_cases().front();
  const double first = reference::error_of_feed_forward<Half>(c, device());
  for (int i = 0; i < 20; ++i) EXPECT_EQ(reference::error_of_feed_forward<Half>(c, device()), first);
}

}  // namespace
}  // namespace retouchd::kernels
