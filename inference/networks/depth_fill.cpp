#include "inference/networks/depth_fill.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <array>

namespace retouchd::inference {
namespace {

constexpr int kLevels = 4;            // cells of 2, 4, 8 and 16 px
constexpr int kSteps = 2;             // cells of the coarsest level that a hole is filled across, from each side
constexpr int kSurroundingLevel = 2;  // cells of 4 px
constexpr double kEmpty = -1e3;       // less than any inverse depth and its negative

/// Sum over 3x3 cells, divided by 9.
at::Tensor box(const at::Tensor& x) { return at::avg_pool2d(x, 3, 1, 1); }

at::Tensor enlarge(const at::Tensor& x, int factor = 2) {
  return at::upsample_nearest2d(x, {x.size(2) * factor, x.size(3) * factor});
}

/// total / weight, 0 where there is none.
at::Tensor ratio(const at::Tensor& total, const at::Tensor& weight) {
  return at::where(weight > 0, total / weight.clamp_min(1e-6), at::zeros_like(total));
}

}  // namespace

FilledDepth fill_depth(const at::Tensor& inverse, const at::Tensor& valid) {
  std::array<at::Tensor, kLevels + 1> totals{inverse};
  std::array<at::Tensor, kLevels + 1> weights{valid};
  for (std::size_t level = 0; level < kLevels; ++level) {
    totals[level + 1] = at::avg_pool2d(totals[level], 2);
    weights[level + 1] = at::avg_pool2d(weights[level], 2);
  }
  at::Tensor total = totals.back();
  at::Tensor weight = weights.back();
  for (int step = 0; step < kSteps; ++step) {
    const at::Tensor known = weight > 0;
    total = at::where(known, total, box(total));
    weight = at::where(known, weight, box(weight));
  }
  FilledDepth filled{ratio(total, weight), (weight > 0).to(inverse.scalar_type())};
  for (std::size_t level = kLevels; level-- > 0;) {
    const at::Tensor known = weights[level] > 0;
    const at::Tensor own = ratio(totals[level], weights[level]);
    filled.inverse = at::where(known, own, enlarge(filled.inverse));
    filled.reached = at::where(known, at::ones_like(own), enlarge(filled.reached));
    const at::Tensor smooth = ratio(box(filled.inverse * filled.reached), box(filled.reached)) * filled.reached;
    filled.inverse = at::where(known, own, smooth);
  }
  return filled;
}

Surroundings surroundings_of(const at::Tensor& inverse, const at::Tensor& valid, const at::Tensor& filled) {
  // Maxima of the value and of its negative: the first is `near`, the second `far`.
  const at::Tensor both = at::cat({inverse, -inverse}, 1);
  std::array<at::Tensor, kLevels + 1> pooled{at::where(valid > 0, both, at::full_like(both, kEmpty))};
  for (std::size_t level = 0; level < kLevels; ++level) pooled[level + 1] = at::max_pool2d(pooled[level], 2);
  at::Tensor found = at::max_pool2d(pooled.back(), 2 * kSteps + 1, 1, kSteps);
  for (std::size_t level = kLevels; level-- > kSurroundingLevel;) {
    const at::Tensor own = at::max_pool2d(pooled[level], 3, 1, 1);
    found = at::where(own > kEmpty, own, enlarge(found));
  }
  found = enlarge(found, 1 << kSurroundingLevel);
  const at::Tensor near = found.narrow(1, 0, 1);
  const at::Tensor far = found.narrow(1, 1, 1);
  return {at::where(near > kEmpty, near, filled), at::where(far > kEmpty, -far, filled)};
}

}  // namespace retouchd::inference
