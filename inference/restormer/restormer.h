#pragma once

#include <memory>
#include <optional>

#include "inference/networks/torch_network.h"
#include "inference/networks/weight_reader.h"
#include "inference/restormer/restormer_config.h"

namespace retouchd::inference {

/// Restormer (Zamir et al., "Restormer: Efficient Transformer for High-Resolution Image Restoration", CVPR 2022), written from
/// the paper and the shapes of its published state dicts: all of those load, whatever their width and depth.
///
///   in -> 3x3 -> [block]*n1 -> down -> [block]*n2 -> down -> [block]*n3 -> down -> [block]*n4 -+
///   out <- (+ in) <- 3x3 <- [block]*r <- [block]*n1 <- up, cat <- [block]*n2 <- up, cat <- ... <+
///
/// Six channels in: the left and the right view of a dual-pixel camera; then the picture comes from the network alone, without
/// the sum with the input. restormer_plain.h has the block's definition, docs/decisions/005-lean-forward.md how the optimised
/// path differs from it.
///
/// `local_window`: side in pixels of the windows over which channel attention is taken; nullopt: the whole input, as published.
/// The paper's networks were trained on up to 384 pixels and restore large pictures better with local_window = 384 (Chu et al.,
/// "Improving Image Restoration by Revisiting Global Information Aggregation", ECCV 2022). Throws BadWeights.
[[nodiscard]] std::unique_ptr<TorchNetwork> make_restormer(WeightReader& weights, const RestormerConfig& config,
                                                           const ForwardOptions& options, std::optional<int> local_window);

}  // namespace retouchd::inference
