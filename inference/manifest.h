#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/result.h"
#include "inference/network_info.h"

namespace retouchd::inference {

/// What `<name>.yaml` beside a weight file says about it. Packages (TorchScript, AOTInductor) need one; for other weights it adds
/// what is not in them.
///
///   task: denoise          # for people
///   license: MIT
///   scale: 1               # output pixels per input pixel along a side, 1 to 8
///   channels: 3            # of the colour input, 1 or 3
///   companion: none        # none, depth (metres, second argument) or right (the other view, second argument)
///   multiple: 8            # sides of tiles are multiples of this, 1 to 256
///   range: 1               # what white is: 1 or 255
///   receptive_field: 40    # pixels that a result pixel sees to each side; leave it out when it sees everything
///   attention: local       # restormer only: local or global
///   colour: srgb           # file (the picture's own colours, whatever its profile says) or srgb (converted before, and back)
struct Manifest {
  std::optional<std::string> task;
  std::optional<std::string> license;
  std::optional<int> scale;
  std::optional<int> channels;
  std::optional<Companion> companion;
  std::optional<int> multiple;
  std::optional<int> range;
  std::optional<int> receptive_field;
  std::optional<bool> local_attention;
  std::optional<bool> wants_srgb;
};

/// Where the manifest of `weights` is looked for.
[[nodiscard]] std::filesystem::path manifest_of(const std::filesystem::path& weights);

/// nullopt when there is none. kBadWeights names file, line and key.
[[nodiscard]] Result<std::optional<Manifest>> read_manifest(const std::filesystem::path& weights);

}  // namespace retouchd::inference
