#include "inference/restormer/lean_feed_forward.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include "inference/restormer/lean_strips.h"

namespace retouchd::inference {
namespace {

constexpr std::int64_t kHiddenMultiple = 16;

/// Appends zeros to each half of dimension 0 (two halves) or to dimension `axis` (one part).
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

/// The block with its hidden channels padded.
RestormerBlock padded(RestormerBlock block) {
  const std::int64_t hidden = block.contract.weight.size(1);
  const std::int64_t by = (kHiddenMultiple - hidden % kHiddenMultiple) % kHiddenMultiple;
  block.expand = {padded(block.expand.weight, 0, 2, by), padded(block.expand.bias, 0, 2, by)};
  block.expand_depthwise.weight = padded(block.expand_depthwise.weight, 0, 2, by);
  block.expand_depthwise.bias = padded(block.expand_depthwise.bias, 0, 2, by);
  block.contract.weight = padded(block.contract.weight, 1, 1, by);
  return block;
}

}  // namespace

LeanFeedForward::LeanFeedForward(const RestormerBlock& block, const LeanNumbers& numbers, std::int64_t strip_pixels)
    : body_(numbers.body), strip_pixels_(strip_pixels) {
  const RestormerBlock wide = padded(block);
  expand_ = LeanExpansion(wide.norm2, wide.expand, numbers, numbers.int8);
  depthwise_ = DepthwiseWeights(wide.expand_depthwise, numbers.body);
  contract_ = LeanPointwise(wide.contract, numbers.body, numbers.int8);
}

void LeanFeedForward::add_to(at::Tensor& x) const {
  const std::int64_t rows = strip_rows(x, strip_pixels_, expand_.channels());
  for_each_band(bands_of(x), [&](const Band& band) {
    const at::Tensor scratch = at::empty({x.size(0), rows, x.size(2), contract_.in()}, x.options().dtype(body_));
    expand_.walk(x, band, rows, [&](std::int64_t begin, std::int64_t end, const at::Tensor& strip) {
      const at::Tensor gated = scratch.narrow(1, 0, end - begin);
      depthwise_gate(strip, depthwise_, gated);
      contract_.add_to(gated, x.narrow(1, begin, end - begin));
    });
  });
}

}  // namespace retouchd::inference
