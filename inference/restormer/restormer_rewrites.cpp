#include "inference/restormer/restormer_rewrites.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

namespace retouchd::inference {
namespace {

/// Appends zeros to dimension `axis` of x, to each of its `parts` parts.
at::Tensor padded(const at::Tensor& x, std::int64_t axis, std::int64_t parts, std::int64_t by) {
  if (!x.defined() || by == 0) return x;
  std::vector<std::int64_t> shape = x.sizes().vec();
  shape[static_cast<std::size_t>(axis)] = by;
  const at::Tensor zeros = at::zeros(shape, x.options());
  std::vector<at::Tensor> pieces;
  for (const at::Tensor& part : x.chunk(parts, axis)) {
    pieces.push_back(part);
    pieces.push_back(zeros);
  }
  return at::cat(pieces, axis);
}

}  // namespace

Pointwise folded(const RestormerBlock::Norm& norm, const Pointwise& pointwise) {
  Pointwise result;
  result.weight = pointwise.weight * norm.weight;
  result.bias = pointwise.bias;
  if (norm.bias.defined()) {
    const at::Tensor shift = pointwise.weight.mv(norm.bias);
    result.bias = result.bias.defined() ? result.bias + shift : shift;
  }
  return result;
}

RestormerBlock with_hidden_padded(RestormerBlock block, std::int64_t multiple) {
  const std::int64_t hidden = block.contract.weight.size(1);
  const std::int64_t by = (multiple - hidden % multiple) % multiple;
  block.expand = {padded(block.expand.weight, 0, 2, by), padded(block.expand.bias, 0, 2, by)};
  block.expand_depthwise.weight = padded(block.expand_depthwise.weight, 0, 2, by);
  block.expand_depthwise.bias = padded(block.expand_depthwise.bias, 0, 2, by);
  block.contract.weight = padded(block.contract.weight, 1, 1, by);
  return block;
}

}  // namespace retouchd::inference
