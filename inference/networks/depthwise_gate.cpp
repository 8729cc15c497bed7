#include "inference/networks/depthwise_gate.h"

#include <ATen/TensorOperators.h>

#include "inference/networks/kernel_call.h"

namespace retouchd::inference {
namespace {

/// The kernel moves 16 bytes at a time.
constexpr std::int64_t kVector = 8;

}  // namespace

at::Tensor gate(const at::Tensor& x) {
  const auto halves = x.chunk(2, -1);
  return halves[0] * halves[1];
}

void DepthwiseGate::prepare(at::ScalarType type, const kernels::KernelSet* kernels) {
  const bool is_narrow = type == at::kHalf || type == at::kBFloat16;
  const std::int64_t hidden = convolution_.weight.size(0) / 2;
  if (kernels != nullptr && is_narrow && hidden % kVector == 0) {
    kernels_ = kernels;
    taps_ = taps_of(convolution_.weight, type);
    if (convolution_.bias.defined()) bias_ = convolution_.bias.to(at::kFloat).contiguous();
  }
  convolution_.to(type);
}

at::Tensor DepthwiseGate::operator()(const at::Tensor& x) const {
  if (kernels_ == nullptr) return gate(convolution_(x));
  return depthwise_gate(*kernels_, x, taps_, bias_, kernels::Gate::kProduct);
}

}  // namespace retouchd::inference
