#include "inference/restormer/lean_pointwise.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include "inference/restormer/strip_operations.h"

namespace retouchd::inference {
namespace {

at::Tensor as_matrix(const at::Tensor& x) { return x.reshape({-1, x.size(-1)}); }

/// cuBLAS takes sides that are multiples of this, and more rows than kFewRows.
constexpr std::int64_t kIntegerMultiple = 8;
constexpr std::int64_t kFewRows = 16;

/// x [pixels, in] times weight [in, out] as int32.
at::Tensor integer_product(const at::Tensor& x, const at::Tensor& weight) {
  if (x.is_cpu() || x.size(0) > kFewRows) return at::_int_mm(x, weight);
  return at::_int_mm(at::constant_pad_nd(x, {0, 0, 0, kFewRows}), weight).narrow(0, 0, x.size(0));
}

}  // namespace

LeanPointwise::LeanPointwise(const Pointwise& fp32, at::ScalarType body, bool int8) {
  const at::Tensor weight = fp32.weight.t().contiguous();
  if (int8 && weight.size(0) % kIntegerMultiple == 0 && weight.size(1) % kIntegerMultiple == 0) {
    scales_ = weight.abs().amax(0).clamp_min(1e-30) / 127;
    weight_ = (weight / scales_).round().to(at::kChar);
    bias_ = fp32.bias;
  } else {
    weight_ = weight.to(body);
    if (fp32.bias.defined()) bias_ = fp32.bias.to(body);
  }
}

void LeanPointwise::operator()(const at::Tensor& x, at::Tensor out) const {
  if (scales_.defined()) return run_int8(x, out, false);
  const at::Tensor matrix = as_matrix(x);
  if (!out.is_contiguous()) {
    const at::Tensor product = bias_.defined() ? at::addmm(bias_, matrix, weight_) : at::mm(matrix, weight_);
    out.copy_(product.view(out.sizes()));
    return;
  }
  at::Tensor target = as_matrix(out);
  if (bias_.defined()) {
    at::addmm_out(target, bias_, matrix, weight_);
  } else {
    at::mm_out(target, matrix, weight_);
  }
}

void LeanPointwise::add_to(const at::Tensor& x, at::Tensor out) const {
  if (scales_.defined()) return run_int8(x, out, true);
  add_product(x, weight_, out);
  if (bias_.defined()) out.add_(bias_);
}

void LeanPointwise::run_int8(const at::Tensor& x, const at::Tensor& out, bool accumulate) const {
  at::Tensor integers = at::empty(x.sizes(), x.options().dtype(at::kChar));
  at::Tensor scales = at::empty({x.numel() / x.size(-1)}, x.options().dtype(at::kFloat));
  quantize(x, integers, scales);
  dequantize(integer_product(as_matrix(integers), weight_), scales, scales_, bias_, out, accumulate);
}

void add_product(const at::Tensor& x, const at::Tensor& weight, at::Tensor out) {
  const at::Tensor matrix = as_matrix(x);
  if (out.is_contiguous() && out.scalar_type() == x.scalar_type()) {
    as_matrix(out).addmm_(matrix, weight);
  } else {
    add_strip(out, at::mm(matrix, weight).view(out.sizes()));
  }
}

}  // namespace retouchd::inference
