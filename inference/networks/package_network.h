#pragma once

#include <memory>

#include "inference/compiled_cache.h"
#include "inference/networks/torch_network.h"

namespace retouchd::inference {

/// A module of the user's: a TorchScript archive or an AOTInductor package. Loading one runs its code, which is why the registry
/// takes them from model folders only.
///
/// It is called with the colours as [N, C, H, W] fp32 in [0, NetworkInfo::range], and with the companion (depth in metres, or the
/// other view) as a second argument where its manifest names one. It returns one tensor of the same layout. What it computes in
/// is its own affair: `options.precision` and `optimize` change nothing. kBadWeights when it cannot be opened.
[[nodiscard]] Result<std::unique_ptr<TorchNetwork>> open_package(const NetworkInfo& info, const ForwardOptions& options);

/// A package of the cache, which computes `info` for tiles of one shape. kBadWeights when it cannot be opened.
[[nodiscard]] Result<std::unique_ptr<TorchNetwork>> open_compiled(const NetworkInfo& info, const CompiledPackage& package,
                                                                  const ForwardOptions& options);

}  // namespace retouchd::inference
