#pragma once

#include <ATen/core/Tensor.h>

#include <functional>

#include "inference/restormer/lean_pointwise.h"
#include "inference/restormer/lean_strips.h"
#include "inference/restormer/restormer_weights.h"

namespace retouchd::inference {

/// What both halves of a block begin with: norm, then a 1x1 convolution to more channels; a 3x3 convolution of whatever kind
/// follows. The norm's weight and bias are folded into the 1x1 convolution (restormer_rewrites.h).
class LeanExpansion {
 public:
  LeanExpansion() = default;
  LeanExpansion(const RestormerBlock::Norm& norm, const Pointwise& pointwise, const LeanNumbers& numbers, bool int8);

  /// Rows [begin, end) of the map may be overwritten; `strip` is what they expand to with a row of halo on both sides,
  /// [N, end - begin + 2, W, K], zeros beyond the map's border, and lasts until the next call.
  using Use = std::function<void(std::int64_t begin, std::int64_t end, const at::Tensor& strip)>;

  /// Walks down a band of `map` [N, H, W, C], `rows` at a time. No row is expanded twice: a strip keeps the last two rows of
  /// the one before.
  void walk(const at::Tensor& map, const Band& band, std::int64_t rows, const Use& use) const;

  [[nodiscard]] std::int64_t channels() const { return pointwise_.out(); }

 private:
  bool centred_ = true;
  at::ScalarType body_ = at::kFloat;
  LeanPointwise pointwise_;
};

}  // namespace retouchd::inference
