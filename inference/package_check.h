#pragma once

#include <opencv2/core/types.hpp>

#include "inference/networks/torch_network.h"
#include "inference/trial.h"
#include "inference/validation.h"

namespace retouchd::inference {

/// Compares `computed`, which computes `network` in options.precision, with the plain fp32 path on a generated picture of that
/// size, `batch` times at once. kBadWeights when the plain one cannot be built. Throws what LibTorch throws.
[[nodiscard]] Result<Check> compare_with_plain(const NetworkInfo& network, const TorchNetwork& computed, ForwardOptions options,
                                               cv::Size size, int batch = 1);

/// "its mean difference from plain fp32 is 0.02, allowed are 0.001"
[[nodiscard]] Error refusal_of(const Check& check);

/// Measures `computed` (Trial::second) against `optimized` on a batch of that many pictures of that size: on a CPU with one
/// thread, as when all lanes are full. Takes a few seconds at most, unless single calls do. Throws what LibTorch throws.
[[nodiscard]] Trial try_out(const NetworkInfo& network, const ForwardOptions& options, const TorchNetwork& optimized,
                            const TorchNetwork& computed, cv::Size size, int batch);

/// Memory for the tensors of one call of `computed` over that of `optimized`, for one picture of that size. The process computes
/// nothing else meanwhile. Throws what LibTorch throws.
[[nodiscard]] double memory_ratio(const NetworkInfo& network, const ForwardOptions& options, const TorchNetwork& optimized,
                                  const TorchNetwork& computed, cv::Size size);

}  // namespace retouchd::inference
