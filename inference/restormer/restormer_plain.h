#pragma once

#include <memory>
#include <optional>

#include "inference/networks/torch_network.h"
#include "inference/restormer/restormer_weights.h"

namespace retouchd::inference {

/// Restormer operation by operation as its paper has it, in fp32: what the lean path is validated against.
///
///   norm:         per pixel over its channels (RestormerConfig::Norm), eps 1e-5
///   block:        x += attention(norm1(x)); x += feed_forward(norm2(x))
///   feed_forward: 1x1 C -> 2h, 3x3 depthwise, gelu(first half) * second half, 1x1 h -> C; gelu by erf
///   attention:    1x1 C -> 3C, 3x3 depthwise, thirds q, k, v, then one of these, 1x1 C -> C
///     channels:   per head, over all pixels of the map or of an AttentionWindow (what those say is averaged):
///                 softmax(temperature * q^ k^T) v, q^ and k^ of unit length along the pixels (eps 1e-12); a [C/heads, C/heads]
///                 map
///     pixels:     (RestormerConfig::spatial_windows) per head, over the 64 pixels of each 8x8 window:
///                 softmax(temperature * (C/heads)^-0.5 * q k^T + position bias) v; a [64, 64] map. Windows start at multiples of
///                 8 and do not overlap. Bias of query pixel i and key pixel j: row (yi - yj + 7) * 15 + (xi - xj + 7) of the
///                 block's `attn.relative_position_bias_table` [225, heads]; `attn.temperature` [heads, 1, 1] starts at 1.
///
/// `local_window`: side of the attention windows in pixels at full resolution, halved with each level; nullopt: the whole map.
/// Spatial windows have no use for it.
[[nodiscard]] std::unique_ptr<TorchNetwork> make_plain_restormer(RestormerWeights weights, const RestormerConfig& config,
                                                                 std::optional<int> local_window);

}  // namespace retouchd::inference
