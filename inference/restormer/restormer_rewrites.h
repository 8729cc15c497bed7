#pragma once

#include "inference/restormer/restormer_weights.h"

namespace retouchd::inference {

// Exact rewrites of a block's weights: the same results with less to compute.

/// The 1x1 convolution behind a norm, with the norm's weight and bias in it:
///
///   W (n * w + b) + c  =  (W diag(w)) n + (W b + c)      n: the normalised pixel
[[nodiscard]] Pointwise folded(const RestormerBlock::Norm& norm, const Pointwise& pointwise);

/// The block with zeros appended to the hidden channels of its feed-forward (to each half of the gate) up to a multiple of
/// `multiple`. They stay zeros up to the last convolution, which ignores them.
[[nodiscard]] RestormerBlock with_hidden_padded(RestormerBlock block, std::int64_t multiple);

}  // namespace retouchd::inference
