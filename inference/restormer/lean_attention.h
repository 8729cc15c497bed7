#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>

#include "inference/restormer/lean_pointwise.h"
#include "inference/restormer/restormer_weights.h"

namespace retouchd::inference {

/// x += attention(norm1(x)) in place, strip by strip. Immutable, so any number of threads may use it.
class LeanAttention {
 public:
  virtual ~LeanAttention() = default;

  /// `x` is [N, H, W, C], contiguous; on a CPU N is 1. `side`: of the AttentionWindows on this level; nullopt: all of the map.
  virtual void add_to(at::Tensor& x, std::optional<std::int64_t> side) const = 0;
};

/// Attention between channels (lean_channel_attention.cpp) or between the pixels of 8x8 windows (lean_spatial_attention.cpp),
/// whichever the block has.
[[nodiscard]] std::unique_ptr<LeanAttention> make_lean_attention(const RestormerBlock& block, const LeanNumbers& numbers,
                                                                 std::int64_t strip_pixels);

[[nodiscard]] std::unique_ptr<LeanAttention> make_lean_channel_attention(const RestormerBlock& block, const LeanNumbers& numbers,
                                                                         std::int64_t strip_pixels);
[[nodiscard]] std::unique_ptr<LeanAttention> make_lean_spatial_attention(const RestormerBlock& block, const LeanNumbers& numbers,
                                                                         std::int64_t strip_pixels);

}  // namespace retouchd::inference
