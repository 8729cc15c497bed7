#include "inference/restormer/lean_expansion.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>

#include "inference/restormer/restormer_rewrites.h"
#include "inference/restormer/strip_operations.h"

namespace retouchd::inference {
LeanExpansion::LeanExpansion(const RestormerBlock::Norm& norm, const Pointwise& pointwise, const LeanNumbers& numbers, bool int8)
    : centred_(norm.bias.defined()), body_(numbers.body), pointwise_(folded(norm, pointwise), numbers.body, int8) {}

void LeanExpansion::walk(const at::Tensor& map, const Band& band, std::int64_t rows, const Use& use) const {
  rows = std::min(rows, band.end - band.begin);
  const auto options = map.options().dtype(body_);
  const at::Tensor strip = at::empty({map.size(0), rows + 2, map.size(2), channels()}, options);
  const at::Tensor scratch = at::empty({map.size(0), rows, map.size(2), map.size(3)}, options);
  const auto expand = [&](const at::Tensor& from, at::Tensor to) {
    if (!from.defined()) {
      to.zero_();
    } else if (from.size(1) > 0) {
      const at::Tensor normal = scratch.narrow(1, 0, from.size(1));
      normalize(from, centred_, normal);
      pointwise_(normal, to);
    }
  };
  expand(band.above, strip.narrow(1, 0, 1));
  expand(map.narrow(1, band.begin, 1), strip.narrow(1, 1, 1));
  for (std::int64_t begin = band.begin; begin < band.end; begin += rows) {
    const std::int64_t end = std::min(begin + rows, band.end);
    const std::int64_t count = end - begin;
    // Rows begin - 1 and begin are there.
    const bool last = end == band.end;
    const std::int64_t inside = last ? count - 1 : count;
    expand(map.narrow(1, begin + 1, inside), strip.narrow(1, 2, inside));
    if (last) expand(band.below, strip.narrow(1, count + 1, 1));
    use(begin, end, strip.narrow(1, 0, count + 2));
    if (last) break;
    for (const std::int64_t row : {0, 1}) strip.select(1, row).copy_(strip.select(1, count + row));
  }
}

}  // namespace retouchd::inference
