#pragma once

#include <ATen/core/Tensor.h>

#include "inference/networks/layers.h"

namespace retouchd::inference {

/// How the lean path keeps and multiplies numbers. The maps that blocks add to are fp32 whatever this says: 88 sums in bf16 would
/// be the largest error of all.
struct LeanNumbers {
  at::ScalarType body = at::kFloat;  ///< weights, and activations between two sums
  bool int8 = false;                 ///< products of 8-bit integers where a layer allows it
};

/// out = x W^T + b for strips, in the body's type, or with both sides as 8-bit integers: one scale for each output channel of
/// the weights, one for each pixel of the activations, found as they come.
class LeanPointwise {
 public:
  LeanPointwise() = default;
  /// `fp32.weight` is [out, in]; `int8` asks for integers.
  LeanPointwise(const Pointwise& fp32, at::ScalarType body, bool int8);

  /// x [..., in], contiguous -> out [..., out].
  void operator()(const at::Tensor& x, at::Tensor out) const;
  /// out += x W^T + b.
  void add_to(const at::Tensor& x, at::Tensor out) const;

  [[nodiscard]] std::int64_t in() const { return weight_.size(0); }
  [[nodiscard]] std::int64_t out() const { return weight_.size(1); }

 private:
  void run_int8(const at::Tensor& x, const at::Tensor& out, bool accumulate) const;

  at::Tensor weight_;  ///< [in, out], in the body's type or int8
  at::Tensor bias_;    ///< [out] in the body's type or, for int8, fp32; may be undefined
  at::Tensor scales_;  ///< int8: [out] fp32
};

/// out [..., out] += x [..., in] times weight [in, out].
void add_product(const at::Tensor& x, const at::Tensor& weight, at::Tensor out);

}  // namespace retouchd::inference
