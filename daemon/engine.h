#pragma once

#include <memory>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "config/config.h"
#include "daemon/pipeline.h"
#include "inference/device.h"
#include "inference/registry.h"

namespace retouchd::daemon {

/// The networks and the device, loaded and tried out, and what they leave of the memory budget.
struct Engine {
  inference::Registry networks;
  std::unique_ptr<inference::Device> device;
  Bytes for_pictures;  ///< of config.memory, after LibTorch, weights, and a full batch of the largest tiles
};

/// Opens the device, loads the default network and runs one full batch, so that a device that cannot do its work fails here and
/// the first picture waits for nothing. Call it before threads that use memory start: it measures the process. kUnknownNetwork,
/// kBadWeights, kDeviceFailed, or kBadConfig when `memory` leaves nothing for pictures.
[[nodiscard]] Result<Engine> open_engine(const config::Config& config);

/// Where weights are looked for: the configured folders, then those that came with this program (installed, or in its source
/// tree).
[[nodiscard]] std::vector<std::filesystem::path> model_folders(const config::Config& config);

/// What the configuration says about the pipeline.
[[nodiscard]] stages::Settings settings_of(const config::Config& config);
[[nodiscard]] stages::RetryPolicy retry_of(const config::Config& config);
[[nodiscard]] PipelineOptions pipeline_options(const config::Config& config, const Engine& engine);

}  // namespace retouchd::daemon
