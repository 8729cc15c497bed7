#include "daemon/engine.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <opencv2/core/mat.hpp>
#include <thread>

#include "config/value.h"
#include "daemon/process_tuning.h"
#include "sandbox/codec_pool.h"
#include "stages/planner.h"

namespace retouchd::daemon {
namespace {

namespace fs = std::filesystem;

/// For what the ledger does not see: stacks, SQLite, sockets, requests under way, what the allocator keeps.
constexpr Bytes kMargin = mebibytes(96);
/// Of a process that reads and writes pictures: its libraries' data, and the memory that it shares with the daemon for good.
constexpr Bytes kCodecProcess = mebibytes(40);
/// Finished tiles of long pictures that wait for the disk.
constexpr Bytes kTilesToKeep = mebibytes(32);

int half_of_cores() { return std::clamp(static_cast<int>(std::thread::hardware_concurrency()) / 2, 1, 8); }

/// A picture that somebody waits for must not wait behind one of a backlog.
int decode_threads(const config::Config& config) {
  return config.workers.decode > 0 ? config.workers.decode : std::max(2, half_of_cores());
}
int encode_threads(const config::Config& config) { return config.workers.encode > 0 ? config.workers.encode : half_of_cores(); }

/// One for each thread that could want one.
int codec_workers(const config::Config& config) { return decode_threads(config) + encode_threads(config); }

image::EncodeOptions encode_options(const config::Output& output) {
  using From = config::Output;
  using To = image::EncodeOptions;
  To options;
  options.jpeg_quality = output.jpeg_quality;
  options.png_level = output.png_level;
  options.webp_quality = output.webp_quality;
  options.avif_quality = output.avif_quality;
  options.avif_speed = output.avif_speed;
  options.jxl_quality = output.jxl_quality;
  options.jxl_effort = output.jxl_effort;
  options.tiff_compression = output.tiff_compression == From::TiffCompression::kNone  ? To::TiffCompression::kNone
                             : output.tiff_compression == From::TiffCompression::kLzw ? To::TiffCompression::kLzw
                                                                                      : To::TiffCompression::kDeflate;
  options.metadata = output.metadata == From::Metadata::kKeep ? To::Metadata::kKeep : To::Metadata::kStrip;
  return options;
}

std::optional<inference::Precision> precision_of(config::Config::Precision precision) {
  using From = config::Config::Precision;
  using To = inference::Precision;
  switch (precision) {
    case From::kFp32:
      return To::kFp32;
    case From::kTf32:
      return To::kTf32;
    case From::kFp16:
      return To::kFp16;
    case From::kBf16:
      return To::kBf16;
    case From::kMixed:
      return To::kMixed;
    case From::kInt8:
      return To::kInt8;
    case From::kAuto:
      break;
  }
  return std::nullopt;
}

inference::Backend backend_of(config::Config::Backend backend) {
  using From = config::Config::Backend;
  switch (backend) {
    case From::kOptimized:
      return inference::Backend::kOptimized;
    case From::kCompiled:
      return inference::Backend::kCompiled;
    case From::kFused:
      return inference::Backend::kFused;
    case From::kAuto:
      break;
  }
  return inference::Backend::kAuto;
}

Result<std::unique_ptr<inference::ModelServer>> open_server(const config::Config& config) {
  inference::ModelServerOptions options;
  options.model = config.cloud.network;
  options.concurrency = config.cloud.parallel;
  options.timeout = config.cloud.silence;
  return inference::open_model_server(config.cloud.node, options);
}

/// Null when no model folder has one.
Result<std::shared_ptr<const stages::GainPredictor>> find_gain_predictor(const config::Config& config) {
  for (const fs::path& folder : model_folders(config)) {
    auto predictor = stages::GainPredictor::load(folder / stages::GainPredictor::kFile);
    if (predictor) return std::make_shared<const stages::GainPredictor>(*std::move(predictor));
    if (predictor.error().code != ErrorCode::kInputMissing) return predictor.error();
  }
  return std::shared_ptr<const stages::GainPredictor>();
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

inference::Registry::Options registry_options(const config::Config& config) {
  return {model_folders(config), config.attention == config::Config::Attention::kLocal, config.limits.weights};
}

inference::DeviceOptions device_options(const config::Config& config) {
  inference::DeviceOptions options;
  options.devices = config.device;
  options.threads = config.workers.infer;
  options.precision = precision_of(config.precision);
  options.optimize = config.optimize;
  options.deterministic = config.deterministic;
  options.simulation = config.simulation;
  options.backend = backend_of(config.backend);
  options.compiled = compiled_folder(config);
  options.cuda_graphs = config.cuda_graphs;
  return options;
}

stages::DevicePool::Options pool_options(const config::Config& config) {
  return {config.tile.batch, config.optimize, config.deterministic};
}

fs::path measurements_file(const config::Config& config) { return config.state_dir / "measurements.json"; }

fs::path compiled_folder(const config::Config& config) { return config.state_dir / "compiled"; }

Bytes unseen_memory() noexcept { return kMargin; }

Result<std::unique_ptr<image::FileCodec>> open_codec(const config::Config& config) {
  if (!config.sandbox.enabled) return std::unique_ptr<image::FileCodec>(std::make_unique<image::LocalCodec>());
  sandbox::CodecPool::Options options;
  options.workers = codec_workers(config);
  options.timeout = config.sandbox.timeout;
  auto pool = sandbox::CodecPool::open(options);
  if (!pool) return pool.error();
  return std::unique_ptr<image::FileCodec>(*std::move(pool));
}

Result<Engine> open_engine(const config::Config& config, const fs::path& measurements) {
  Engine engine;
  auto codec = open_codec(config);
  if (!codec) return codec.error();
  engine.codec = *std::move(codec);
  engine.codec_pool = dynamic_cast<const sandbox::CodecPool*>(engine.codec.get());
  engine.networks = std::make_unique<inference::Registry>(registry_options(config));
  const auto network = engine.networks->find(config.network);
  if (!network) return network.error();

  auto calibration = load_calibration(config);
  if (!calibration) return calibration.error();
  engine.calibration = *std::move(calibration);
  auto gain = find_gain_predictor(config);
  if (!gain) return gain.error();
  engine.gain = *std::move(gain);

  auto devices = inference::open_devices(device_options(config));
  if (!devices) return devices.error();
  engine.measurements = std::make_unique<inference::Measurements>(measurements, system_clock());
  engine.devices = std::make_unique<stages::DevicePool>(*std::move(devices), *engine.measurements, pool_options(config));
  if (config::is_model_server(config.cloud.node)) {
    auto server = open_server(config);
    if (!server) return server.error();
    engine.model_server = server->get();
    std::vector<std::unique_ptr<inference::Device>> one;
    one.push_back(*std::move(server));
    engine.server = std::make_unique<stages::DevicePool>(std::move(one), *engine.measurements, pool_options(config));
  }
  const auto start = std::chrono::steady_clock::now();
  const auto cost = engine.devices->prepare(*network);
  if (!cost) return cost.error();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;

  const int side = stages::largest_side(*network, config.tile.size);
  const Bytes for_batch = engine.devices->host_memory(*network, {side, side}, *cost);
  engine.for_batch = for_batch + Bytes{network->parameters * sizeof(float)};
  // Restored tiles wait in front of `merge`, as fp32 where they are blended: those of all batches in flight, and as many again.
  const Bytes tiles{2 * engine.devices->tiles_at_once() * static_cast<std::uint64_t>(side) * static_cast<std::uint64_t>(side) *
                    3 * (network->receptive_field ? sizeof(std::uint16_t) : sizeof(float)) *
                    static_cast<std::uint64_t>(network->scale * network->scale)};
  // Requests to a model server under way, and their answers.
  const Bytes requests{engine.server ? engine.server->tiles_at_once() * static_cast<std::uint64_t>(side) *
                                           static_cast<std::uint64_t>(side) * 3 * 2 * sizeof(float)
                                     : 0};
  const Bytes codecs{engine.codec_pool ? kCodecProcess.value * static_cast<std::uint64_t>(codec_workers(config)) : 0};
  const Bytes fixed = resident_memory() + for_batch + tiles + requests + codecs + kTilesToKeep + kMargin;
  engine.for_pictures = config.memory - fixed;
  spdlog::info("{}; network {} ({} parameters), loaded and checked in {:.2f} s", engine.devices->description(), network->name,
               network->parameters, took.count());
  spdlog::info("memory: {} of {} are for pictures in flight", to_string(engine.for_pictures), to_string(config.memory));
  if (engine.for_pictures < mebibytes(64)) {
    return make_error(ErrorCode::kBadConfig, "memory: " + to_string(config.memory) + " leaves " + to_string(engine.for_pictures) +
                                                 " for pictures: the program, its network and a batch of tiles need " +
                                                 to_string(fixed) + "; give it more, or make tile.size or tile.batch smaller");
  }
  return engine;
}

Result<std::shared_ptr<const stages::Calibration>> load_calibration(const config::Config& config) {
  auto calibration = stages::Calibration::load(config.cascade.calibration);
  if (calibration && std::abs(calibration->megapixels() - config.preview.megapixels) > 0.01) {
    spdlog::warn("{} was made for previews of {:g} megapixels, and they have {:g}: `retouch calibrate` makes it anew",
                 config.cascade.calibration.string(), calibration->megapixels(), config.preview.megapixels);
  }
  if (calibration) return std::make_shared<const stages::Calibration>(*std::move(calibration));
  if (calibration.error().code == ErrorCode::kInputMissing) return std::shared_ptr<const stages::Calibration>();
  return calibration.error();
}

stages::Settings settings_of(const config::Config& config) {
  stages::Settings settings;
  settings.threshold = config.cascade.threshold;
  settings.good_enough_db = config.cascade.good_enough;
  settings.levels = config.cascade.levels;
  settings.skip_share = config.cascade.skip_share;
  settings.fallback = config.cloud.fallback == config::Cloud::Fallback::kLocalPreview ? stages::Settings::Fallback::kLocalPreview
                      : config.cloud.fallback == config::Cloud::Fallback::kQueue      ? stages::Settings::Fallback::kQueue
                                                                                      : stages::Settings::Fallback::kLocalFull;
  settings.mode = config.mode == config::Config::Mode::kTiled        ? stages::Settings::Mode::kTiled
                  : config.mode == config::Config::Mode::kSinglePass ? stages::Settings::Mode::kSinglePass
                                                                     : stages::Settings::Mode::kAuto;
  settings.limits.megapixels = config.limits.megapixels;
  settings.limits.side = config.limits.side;
  settings.limits.frames = config.limits.frames;
  settings.limits.jpeg_scans = config.limits.jpeg_scans;
  settings.limits.metadata = config.limits.metadata;
  settings.limits.all_pages = config.input.pages == config::Input::Pages::kAll;
  settings.limits.space =
      config.input.colours == config::Input::Colours::kSrgb ? image::WorkingSpace::kExtendedSrgb : image::WorkingSpace::kFile;
  settings.file_size = config.limits.file_size;
  settings.output = encode_options(config.output);
  if (config.output.provenance) settings.software = "retouchd " RETOUCHD_VERSION;
  settings.keep_file_time = config.output.file_time == config::Output::FileTime::kSource;
  settings.resume_longer_than = config.resume.longer_than;
  settings.preview = config.preview.enabled;
  settings.preview_megapixels = config.preview.megapixels;
  settings.preview_quality = config.preview.quality;
  return settings;
}

stages::RetryPolicy retry_of(const config::Config& config) { return {config.retry.attempts, config.retry.backoff, true}; }

PipelineOptions pipeline_options(const config::Config& config, const Engine& engine) {
  PipelineOptions options;
  options.settings = settings_of(config);
  options.settings.calibration = engine.calibration;
  options.settings.gain = engine.gain;
  options.server_worker.hopeless = std::chrono::ceil<std::chrono::seconds>(config.cloud.silence);
  options.retry = retry_of(config);
  options.previews = config.state_dir / "previews";
  options.unfinished = config.state_dir / "unfinished";
  options.memory = engine.for_pictures;
  options.for_batch = engine.for_batch;
  options.largest_tile = config.tile.size;
  options.tiles_to_keep = kTilesToKeep;
  options.max_wait = config.tile.max_wait;
  options.decode_threads = decode_threads(config);
  options.encode_threads = encode_threads(config);
  return options;
}

}  // namespace retouchd::daemon
