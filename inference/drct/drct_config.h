#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "base/result.h"
#include "inference/weights/weight_file.h"

namespace retouchd::inference {

/// The size of a DRCT (Hsu et al., "DRCT: Saving Image Super-resolution away from Information Bottleneck", CVPR Workshops 2024),
/// all of it read from the shapes in its state dict.
struct DrctConfig {
  static constexpr std::size_t kStages = 5;  ///< windowed transformer blocks of a group

  std::int64_t embed = 180;  ///< channels between the groups
  std::int64_t growth = 32;  ///< channels that each stage but the last adds
  int groups = 6;
  int window = 16;                             ///< side of the attention's windows
  std::array<std::int64_t, kStages> heads{};   ///< of the stages, the same in all groups
  std::array<std::int64_t, kStages> hidden{};  ///< channels inside the stages' MLPs
  bool qkv_bias = true;
  std::int64_t features = 64;  ///< channels of the upsampler
  int scale = 4;               ///< 1, 2, 3, 4 or 8

  /// Channels that stage 0 to 4 works on; what it adds follows them.
  [[nodiscard]] std::int64_t width(std::size_t stage) const noexcept { return embed + static_cast<std::int64_t>(stage) * growth; }
  /// Stages 1 and 3 have their windows shifted by half a window: by how much.
  [[nodiscard]] int shift(std::size_t stage) const noexcept { return stage % 2 == 1 ? window / 2 : 0; }
  /// Sides of inputs are multiples of this.
  [[nodiscard]] int multiple() const noexcept { return window; }
  /// Convolutions of the upsampler, and by how much each enlarges.
  [[nodiscard]] int enlargements() const noexcept { return scale == 8 ? 3 : scale == 4 ? 2 : scale == 1 ? 0 : 1; }
  [[nodiscard]] int enlargement() const noexcept { return scale == 3 ? 3 : 2; }
};

/// Whether the table of contents is a DRCT's, whatever its size.
[[nodiscard]] bool is_drct(const WeightHeader& header);

/// kBadWeights names the tensor that is missing or makes no sense. What this accepts is bounded (embed <= 512, groups <= 32,
/// window <= 32, memory that position biases unfold to); that every tensor has the shape that follows from the configuration is
/// checked when the network is built. Not found in shapes, hence assumed: windows are shifted, as in all networks whose training
/// pictures were larger than a window.
[[nodiscard]] Result<DrctConfig> drct_config(const WeightHeader& header);

/// "DRCT, 6 groups, embed 180, window 16"
[[nodiscard]] std::string describe(const DrctConfig& config);

}  // namespace retouchd::inference
