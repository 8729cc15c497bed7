#include "daemon/engine.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <opencv2/core/mat.hpp>
#include <thread>

#include "daemon/process_memory.h"

namespace retouchd::daemon {
namespace {

namespace fs = std::filesystem;

/// For what the ledger does not see: stacks, SQLite, sockets, requests under way, what the allocator keeps.
constexpr Bytes kMargin = mebibytes(96);

/// Restores one batch of noise-free gray.
Result<void> try_out(inference::Device& device, const inference::NetworkInfo& network, int side, int batch) {
  if (auto loaded = device.load(network); !loaded) return loaded;
  const cv::Mat gray(side, side, CV_8UC3, cv::Scalar::all(128));
  const std::vector<cv::Mat> windows(static_cast<std::size_t>(batch), gray);
  auto restored = device.restore(network, side, windows);
  if (!restored) return restored.error();
  return {};
}

int half_of_cores() { return std::clamp(static_cast<int>(std::thread::hardware_concurrency()) / 2, 1, 8); }

inference::DeviceKind kind_of(config::Config::Device device) {
  switch (device) {
    case config::Config::Device::kCpu:
      return inference::DeviceKind::kCpu;
    case config::Config::Device::kCuda:
      return inference::DeviceKind::kCuda;
    case config::Config::Device::kAuto:
      break;
  }
  return inference::DeviceKind::kAuto;
}

int batch_of(const config::Config& config, const inference::Device& device) {
  return config.tile.batch > 0 ? config.tile.batch : device.default_batch();
}

}  // namespace

std::vector<fs::path> model_folders(const config::Config& config) {
  std::vector<fs::path> folders = config.model_dirs;
  std::error_code ignored;
  const fs::path program = fs::read_symlink("/proc/self/exe", ignored);
  for (const fs::path& shipped :
       {program.parent_path().parent_path() / "share/retouchd/models", fs::path(RETOUCHD_SOURCE_MODELS)}) {
    if (fs::is_directory(shipped, ignored)) folders.push_back(shipped);
  }
  return folders;
}

Result<Engine> open_engine(const config::Config& config) {
  Engine engine;
  engine.networks = inference::Registry::scan(model_folders(config));
  const auto network = engine.networks.find(config.network);
  if (!network) return network.error();

  auto device = inference::open_device({kind_of(config.device), config.workers.infer});
  if (!device) return device.error();
  engine.device = *std::move(device);
  const int batch = batch_of(config, *engine.device);
  const auto start = std::chrono::steady_clock::now();
  if (auto tried = try_out(*engine.device, *network, config.tile.size, batch); !tried) return tried.error();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;

  // Restored tiles wait in front of `merge` as fp32: two batches, and one more just computed.
  const Bytes tiles{3 * static_cast<std::uint64_t>(batch) * static_cast<std::uint64_t>(config.tile.size) *
                    static_cast<std::uint64_t>(config.tile.size) * 3 * sizeof(float) *
                    static_cast<std::uint64_t>(network->scale * network->scale)};
  const Bytes fixed = peak_resident_memory() + tiles + kMargin;
  engine.for_pictures = config.memory - fixed;
  spdlog::info("{}; network {} ({} parameters), first batch of {} tiles in {:.2f} s", engine.device->description(), network->name,
               network->parameters, batch, took.count());
  spdlog::info("memory: {} of {} are for pictures in flight", to_string(engine.for_pictures), to_string(config.memory));
  if (engine.for_pictures < mebibytes(64)) {
    return make_error(ErrorCode::kBadConfig, "memory: " + to_string(config.memory) + " leaves " + to_string(engine.for_pictures) +
                                                 " for pictures: the program, its network and a batch of tiles need " +
                                                 to_string(fixed) + "; give it more, or make tile.size or tile.batch smaller");
  }
  return engine;
}

stages::Settings settings_of(const config::Config& config) {
  stages::Settings settings;
  settings.limits.megapixels = config.limits.megapixels;
  settings.limits.side = config.limits.side;
  settings.file_size = config.limits.file_size;
  settings.output.jpeg_quality = config.output.jpeg_quality;
  settings.output.png_level = config.output.png_level;
  settings.output.webp_quality = config.output.webp_quality;
  settings.output.metadata = config.output.metadata == config::Output::Metadata::kKeep ? image::EncodeOptions::Metadata::kKeep
                                                                                       : image::EncodeOptions::Metadata::kStrip;
  settings.preview = config.preview.enabled;
  settings.preview_megapixels = config.preview.megapixels;
  settings.preview_quality = config.preview.quality;
  return settings;
}

stages::RetryPolicy retry_of(const config::Config& config) { return {config.retry.attempts, config.retry.backoff, true}; }

PipelineOptions pipeline_options(const config::Config& config, const Engine& engine) {
  PipelineOptions options;
  options.settings = settings_of(config);
  options.retry = retry_of(config);
  options.previews = config.state_dir / "previews";
  options.memory = engine.for_pictures;
  options.largest_tile = config.tile.size;
  options.batch = batch_of(config, *engine.device);
  options.max_wait = config.tile.max_wait;
  options.decode_threads = config.workers.decode > 0 ? config.workers.decode : half_of_cores();
  options.encode_threads = config.workers.encode > 0 ? config.workers.encode : half_of_cores();
  return options;
}

}  // namespace retouchd::daemon
