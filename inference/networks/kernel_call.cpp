#include "inference/networks/kernel_call.h"

#include <ATen/Functions.h>
#include <c10/core/impl/VirtualGuardImpl.h>

namespace retouchd::inference {

kernels::Number number_of(at::ScalarType type) {
  TORCH_CHECK(type == at::kHalf || type == at::kBFloat16, "kernels compute with 16-bit numbers");
  return type == at::kHalf ? kernels::Number::kHalf : kernels::Number::kBfloat16;
}

kernels::Map map_of(const at::Tensor& x) {
  return {static_cast<int>(x.size(0)), static_cast<int>(x.size(1)), static_cast<int>(x.size(2))};
}

int channels_of(const at::Tensor& x) { return static_cast<int>(x.size(-1)); }

const void* data_of(const at::Tensor& x) {
  TORCH_INTERNAL_ASSERT(x.is_contiguous());
  return x.const_data_ptr();
}

const float* floats_of(const at::Tensor& x) {
  TORCH_INTERNAL_ASSERT(!x.defined() || x.is_contiguous());
  return x.defined() ? x.const_data_ptr<float>() : nullptr;
}

kernels::Stream stream_of(const at::Tensor& x) {
  if (x.is_cpu()) return nullptr;
  return c10::impl::VirtualGuardImpl(x.device().type()).getStream(x.device()).native_handle();
}

void expect_started(kernels::Outcome outcome) { TORCH_CHECK(outcome == nullptr, "a CUDA kernel was not started: ", outcome); }

void use_device(const kernels::KernelSet& kernels, const at::Device& device) {
  if (!device.is_cpu()) expect_started(kernels.use_device(device.index()));
}

at::Tensor taps_of(const at::Tensor& weight, at::ScalarType type) {
  return weight.contiguous().view({-1, 9}).t().contiguous().to(type);
}

at::Tensor depthwise_gate(const kernels::KernelSet& kernels, const at::Tensor& x, const at::Tensor& weight,
                          const at::Tensor& bias, kernels::Gate gate) {
  const at::Tensor out = at::empty({x.size(0), x.size(1), x.size(2), x.size(3) / 2}, x.options());
  kernels::DepthwiseGateCall call;
  call.number = number_of(x.scalar_type());
  call.map = map_of(x);
  call.hidden = channels_of(out);
  call.gate = gate;
  call.in = data_of(x);
  call.weight = data_of(weight);
  call.bias = floats_of(bias);
  call.out = out.mutable_data_ptr();
  expect_started(kernels.depthwise_gate(call, stream_of(x)));
  return out;
}

}  // namespace retouchd::inference
