#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "base/result.h"
#include "inference/weights/weight_file.h"

namespace retouchd::inference {

/// The size and the variant of a Restormer (Zamir et al., CVPR 2022), all of it read from the shapes in its state dict.
///
/// Widths are those of the four levels: dim, 2*dim, 4*dim, 8*dim. The decoder's level 1 and the refinement run at full
/// resolution, too, but with the second width, as nothing reduces their concatenated input.
struct RestormerConfig {
  enum class Norm {
    kWithBias,  ///< (x - mean) * rstd * weight + bias
    kBiasFree,  ///< x * rstd * weight; the variance is about the mean nevertheless
  };

  std::int64_t in_channels = 3;
  std::int64_t out_channels = 3;
  std::int64_t dim = 48;
  std::array<int, 4> blocks{};           ///< of encoder levels 1 to 3 (their decoders have as many) and of the latent level
  int refinement = 0;                    ///< blocks of the refinement
  std::array<std::int64_t, 4> heads{};   ///< decoder level 1 and refinement: heads[0]
  std::array<std::int64_t, 4> hidden{};  ///< channels of one half of the feed-forward's gate, by width
  Norm norm = Norm::kWithBias;
  bool bias = false;             ///< the convolutions inside blocks, skip_conv, reductions and output have biases
  bool dual_pixel = false;       ///< six channels in (left view, right view), no sum with the input
  bool spatial_windows = false;  ///< attention between the pixels of 8x8 windows (see restormer_plain.h)

  /// Of the level (0 to 3), or of decoder level 1 and refinement: width(1).
  [[nodiscard]] std::int64_t width(int level) const noexcept { return dim << level; }
  /// Sides of inputs are multiples of this: three halvings, and whole 8x8 windows on the last level.
  [[nodiscard]] int multiple() const noexcept { return spatial_windows ? 64 : 8; }
};

/// Whether the table of contents is a Restormer's, whatever its size.
[[nodiscard]] bool is_restormer(const WeightHeader& header);

/// kBadWeights names the tensor that is missing or makes no sense. What this accepts is bounded (dim <= 512, blocks <= 64);
/// that every tensor has the shape that follows from the configuration is checked when the network is built.
[[nodiscard]] Result<RestormerConfig> restormer_config(const WeightHeader& header);

/// "dim 48, blocks 4 6 6 8 + 4, WithBias", then what is unusual: "biases", "dual pixel", "gray", "8x8 windows".
[[nodiscard]] std::string describe(const RestormerConfig& config);

}  // namespace retouchd::inference
