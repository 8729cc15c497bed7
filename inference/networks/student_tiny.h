#pragma once

#include <memory>

#include "inference/networks/torch_network.h"
#include "inference/networks/weight_reader.h"

namespace retouchd::inference {

/// The built-in network: a small U-shaped denoiser of convolutions, per-pixel layer norms and gates, without any global
/// operation, so its receptive field is finite and tiles can equal the whole picture.
///
///   pixels -> unshuffle 2 -> 3x3 -> [block]*n1 -> 2x2/2 -> [block]*n2 -> 2x2/2 -> [block]*n3 -+
///   pixels + shuffle 2 <- 3x3 <- [block]*n1 <- shuffle + skip <- [block]*n2 <- shuffle + skip <+
///
/// Width and block counts are read from the shapes. The block is that of Chen et al., "Simple Baselines for Image Restoration"
/// (ECCV 2022) without its channel attention; training/network.py is the same network in Python. Throws BadWeights.
[[nodiscard]] std::unique_ptr<TorchNetwork> make_student_tiny(WeightReader& weights, const ForwardOptions& options);

}  // namespace retouchd::inference
