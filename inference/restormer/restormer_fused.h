#pragma once

#include <memory>
#include <optional>
#include <string>

#include "inference/networks/torch_network.h"
#include "inference/restormer/restormer_config.h"
#include "inference/restormer/restormer_weights.h"

namespace retouchd::inference {

/// Why hand-written kernels cannot compute this network; empty when they can. They are made for the published widths (48 to 384
/// channels, heads of 48 or one of 96), for global attention, and for 16-bit numbers.
[[nodiscard]] std::string fused_obstacle(const RestormerConfig& config, std::optional<int> local_window, Precision precision);

/// The same network through the kernels of inference/kernels: maps between convolutions are 16-bit (fp16 when the precision is
/// fp16 or mixed, else bf16), sums within a kernel are fp32. 3x3 convolutions between levels and at both ends stay LibTorch's.
/// There must be no obstacle. Several calls at once are fine; one call is queued on LibTorch's current stream and synchronises
/// nothing.
[[nodiscard]] std::unique_ptr<TorchNetwork> make_fused_restormer(const RestormerWeights& weights, const RestormerConfig& config,
                                                                 const ForwardOptions& options);

}  // namespace retouchd::inference
