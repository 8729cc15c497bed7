#pragma once

#include <memory>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "config/config.h"
#include "daemon/pipeline.h"
#include "image/file_codec.h"
#include "inference/device.h"
#include "inference/measurements.h"
#include "inference/registry.h"
#include "inference/remote/model_server.h"
#include "sandbox/codec_pool.h"
#include "stages/calibration.h"
#include "stages/device_pool.h"
#include "stages/gain_predictor.h"

namespace retouchd::daemon {

/// The networks and the devices, loaded and tried out, and what they leave of the memory budget.
struct Engine {
  std::unique_ptr<image::FileCodec> codec;
  const sandbox::CodecPool* codec_pool = nullptr;  ///< the same, when it is one
  std::unique_ptr<inference::Registry> networks;
  std::unique_ptr<inference::Measurements> measurements;
  std::unique_ptr<stages::DevicePool> devices;
  std::shared_ptr<const stages::Calibration> calibration;  ///< null: the built-in one
  std::shared_ptr<const stages::GainPredictor> gain;       ///< null: no picture is passed on untouched
  std::unique_ptr<stages::DevicePool> server;              ///< the model server that pictures are escalated to; null: none
  inference::ModelServer* model_server = nullptr;          ///< its only device
  Bytes for_pictures;  ///< of config.memory, after LibTorch, weights, and full batches of the largest tiles
  Bytes for_batch;     ///< the weights and those batches
};

/// Opens the devices, loads the default network, checks and measures it, so that a device that cannot do its work fails here and
/// the first picture waits for nothing. Call it before threads that use memory start: it measures the process. kUnknownNetwork,
/// kBadWeights, kDeviceFailed, or kBadConfig when `memory` leaves nothing for pictures.
[[nodiscard]] Result<Engine> open_engine(const config::Config& config, const std::filesystem::path& measurements);

/// What reads and writes picture files: processes of their own, or this one (sandbox.enabled). kBadConfig.
[[nodiscard]] Result<std::unique_ptr<image::FileCodec>> open_codec(const config::Config& config);

/// Where this machine's measurements of networks are kept.
[[nodiscard]] std::filesystem::path measurements_file(const config::Config& config);

/// Where `retouch compile` keeps its packages.
[[nodiscard]] std::filesystem::path compiled_folder(const config::Config& config);

/// What the process needs that no account sees: stacks, SQLite, sockets, requests under way, what the allocator keeps.
[[nodiscard]] Bytes unseen_memory() noexcept;

/// Where weights are looked for: the configured folders, then those that came with this program (installed, or in its source
/// tree).
[[nodiscard]] std::vector<std::filesystem::path> model_folders(const config::Config& config);

/// What the configuration says about networks, device and pipeline.
[[nodiscard]] inference::Registry::Options registry_options(const config::Config& config);
[[nodiscard]] inference::DeviceOptions device_options(const config::Config& config);
[[nodiscard]] stages::DevicePool::Options pool_options(const config::Config& config);
/// Without calibration and predictor, which are files: those are the engine's.
[[nodiscard]] stages::Settings settings_of(const config::Config& config);
/// Null when there is none; kBadConfig when it cannot be read.
[[nodiscard]] Result<std::shared_ptr<const stages::Calibration>> load_calibration(const config::Config& config);
[[nodiscard]] stages::RetryPolicy retry_of(const config::Config& config);
[[nodiscard]] PipelineOptions pipeline_options(const config::Config& config, const Engine& engine);

}  // namespace retouchd::daemon
