#pragma once

#include <memory>
#include <optional>

#include "inference/networks/torch_network.h"
#include "inference/restormer/restormer_weights.h"

namespace retouchd::inference {

/// The same network with the same results, at a fraction of the memory and time: exact rewrites, strips of rows in place of whole
/// wide maps, everything in place, skips freed as early as possible. docs/decisions/005-lean-forward.md tells what and why.
///
/// At its peak (the decoder's level 1) it holds two maps of 2 * dim channels and one strip a thread. On a CPU the pictures of a
/// batch go one by one; called by several threads at once (at::parallel_for) each of them computes alone, called by one all of
/// LibTorch's threads share the rows.
[[nodiscard]] std::unique_ptr<TorchNetwork> make_lean_restormer(const RestormerWeights& weights, const RestormerConfig& config,
                                                                const ForwardOptions& options, std::optional<int> local_window);

}  // namespace retouchd::inference
