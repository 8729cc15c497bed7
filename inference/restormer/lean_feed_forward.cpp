#include "inference/restormer/lean_feed_forward.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include "inference/restormer/lean_strips.h"
#include "inference/restormer/restormer_rewrites.h"

namespace retouchd::inference {
namespace {

constexpr std::int64_t kHiddenMultiple = 16;

}  // namespace

LeanFeedForward::LeanFeedForward(const RestormerBlock& block, const LeanNumbers& numbers, std::int64_t strip_pixels)
    : body_(numbers.body), strip_pixels_(strip_pixels) {
  const RestormerBlock wide = with_hidden_padded(block, kHiddenMultiple);
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
