#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "inference/drct/drct_weights.h"
#include "inference/networks/torch_network.h"

namespace retouchd::inference {

/// The convolutions of DRCT that enlarge, and its last one: strip by strip, so that no map of many channels ever exists at the
/// size of the result.
class DrctUpsampler {
 public:
  /// Takes upsample and last off `weights`.
  DrctUpsampler(DrctWeights& weights, const DrctConfig& config, const ForwardOptions& options);

  /// [N, H, W, features] of ForwardOptions::edges() -> [N, H*scale, W*scale, 3] fp32.
  [[nodiscard]] at::Tensor operator()(const at::Tensor& features) const;

 private:
  /// The same for rows that are all there is above and below.
  [[nodiscard]] at::Tensor enlarge(at::Tensor x) const;

  int scale_;
  int enlargement_;
  std::int64_t strip_pixels_;
  std::vector<Convolution> convolutions_;
  Convolution last_;
  at::Tensor mean_;
};

}  // namespace retouchd::inference
