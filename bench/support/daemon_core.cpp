#include "bench/support/daemon_core.h"

#include <fmt/core.h>
#include <spdlog/spdlog.h>

#include <cstdlib>
#include <fstream>
#include <opencv2/core.hpp>

#include "base/file.h"
#include "config/environment.h"
#include "config/override.h"
#include "config/reader.h"
#include "daemon/logging.h"
#include "daemon/process_tuning.h"
#include "image/codec.h"
#include "queue/publisher.h"
#include "queue/sqlite_job_store.h"

namespace retouchd::bench {
namespace {

namespace fs = std::filesystem;

template <class T>
T value_or_give_up(Result<T> result) {
  if (!result) give_up(result.error());
  return *std::move(result);
}

}  // namespace

void begin(char** argv) {
  daemon::wait_without_spinning(argv);
  daemon::return_large_blocks_early();
  daemon::set_up_logging();
  spdlog::set_level(spdlog::level::warn);
}

void print_report(const nlohmann::json& report, bool json) { fmt::print("{}\n", report.dump(json ? -1 : 2)); }

void give_up(const Error& error) {
  fmt::print(stderr, "{}\n  {}\n", error.message, error.remedy());
  std::exit(1);
}

TemporaryFolder::TemporaryFolder() {
  std::string pattern = (fs::temp_directory_path() / "retouchd-bench.XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr)
    give_up(make_error(ErrorCode::kIoError, "no temporary folder can be made in " + fs::temp_directory_path().string()));
  path_ = pattern;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

config::Config configuration(const fs::path& state, const std::vector<std::string>& overrides) {
  const config::Environment environment = config::Environment::of_process();
  config::Config config = config::default_config(environment);
  config.state_dir = state;
  fs::create_directories(state / "previews");
  for (const std::string& setting : overrides) {
    const auto equals = setting.find('=');
    if (equals == std::string::npos) give_up(make_error(ErrorCode::kInvalidRequest, "KEY=VALUE is wanted, not " + setting));
    if (auto set = config::override_key(config, setting.substr(0, equals), setting.substr(equals + 1), environment); !set)
      give_up(set.error());
  }
  return config;
}

DaemonCore::DaemonCore(const config::Config& config)
    : network_(config.network), engine_(value_or_give_up(daemon::open_engine(config, config.state_dir / "measurements.json"))) {
  queue::SqliteJobStoreOptions options;
  options.file = config.state_dir / "jobs.sqlite";
  options.boot_id = "bench";
  store_ = value_or_give_up(queue::open_sqlite_job_store(options, system_clock()));
  pipeline_ = std::make_unique<daemon::Pipeline>(
      daemon::pipeline_options(config, engine_),
      daemon::Pipeline::Surroundings{*store_, *engine_.codec, *engine_.networks, *engine_.devices, meter_, system_clock(),
                                     [](queue::JobId, int, int) {}});
  store_->set_listener([this](const std::vector<queue::JobEvent>& events) {
    pipeline_->on_events(events);
    const Moment now = std::chrono::steady_clock::now();
    const std::lock_guard lock(mutex_);
    for (const queue::JobEvent& event : events) {
      events_[event.job].emplace(event.kind, now);
      if (event.kind == "done") done_.push_back(event.job);
      if (event.kind == "failed") fmt::print(stderr, "job {} failed: {}\n", event.job, event.body);
    }
    changed_.notify_all();
  });
  pipeline_->start();
}

DaemonCore::~DaemonCore() {
  pipeline_->drain(std::chrono::steady_clock::now());
  store_.reset();
}

queue::JobId DaemonCore::submit(const fs::path& source, const fs::path& output, const std::string& client, bool preview) {
  queue::JobRequest request;
  request.key = output.string();
  request.origin = client;
  request.source = source;
  request.identity = value_or_give_up(identify_file(source));
  request.name = source.filename();
  request.output = output;
  request.preview = preview;
  request.network = network_;
  return value_or_give_up(store_->accept_and_wait(request)).id;
}

double DaemonCore::wait_for(queue::JobId job, const std::string& kind) {
  std::unique_lock lock(mutex_);
  auto& events = events_[job];
  changed_.wait(lock, [&] { return events.contains(kind) || events.contains("failed"); });
  if (!events.contains(kind)) std::exit(1);
  return std::chrono::duration<double>(events.at(kind) - events.at("accepted")).count();
}

std::optional<double> DaemonCore::seconds_to(queue::JobId job, const std::string& kind) const {
  const std::lock_guard lock(mutex_);
  const auto found = events_.find(job);
  if (found == events_.end() || !found->second.contains(kind)) return std::nullopt;
  return std::chrono::duration<double>(found->second.at(kind) - found->second.at("accepted")).count();
}

std::vector<queue::JobId> DaemonCore::done() const {
  const std::lock_guard lock(mutex_);
  return done_;
}

std::int64_t DaemonCore::queued() const {
  return value_or_give_up(store_->counts()).at(static_cast<std::size_t>(queue::JobState::kQueued));
}

void write_picture(const fs::path& file, cv::Size size, int seed) {
  static const cv::Mat photograph = [] {
    // Programs that were carried to another machine find the pictures there.
    const char* named = std::getenv("RETOUCHD_SOURCE");
    const fs::path source = named == nullptr ? RETOUCHD_SOURCE_DIR : named;
    const auto bytes = value_or_give_up(read_file(source / "samples/astronaut-sigma25.jpg", mebibytes(64)));
    return value_or_give_up(image::decode(bytes, {})).colour;
  }();
  image::Picture picture;
  cv::copyMakeBorder(photograph, picture.colour, 0, std::max(0, size.height - photograph.rows), 0,
                     std::max(0, size.width - photograph.cols), cv::BORDER_REFLECT);
  picture.colour = picture.colour(cv::Rect({0, 0}, size)).clone();
  cv::Mat noise(size, CV_8UC3);
  cv::RNG generator(static_cast<std::uint64_t>(seed) + 1);
  generator.fill(noise, cv::RNG::UNIFORM, 0, 12);
  picture.colour += noise;
  image::EncodeOptions options;
  options.jpeg_quality = 92;
  const auto format = file.extension() == ".png" ? image::FileFormat::kPng : image::FileFormat::kJpeg;
  options.png_level = 0;
  const auto encoded = value_or_give_up(image::encode(picture, format, options));
  if (auto written = queue::Publisher::write_atomically(file, encoded); !written) give_up(written.error());
}

std::map<std::string, double> cpu_seconds_by_thread() {
  std::map<std::string, double> sums;
  for (const auto& task : fs::directory_iterator("/proc/self/task")) {
    std::string name;
    std::getline(std::ifstream(task.path() / "comm"), name);
    double nanoseconds = 0;
    std::ifstream(task.path() / "schedstat") >> nanoseconds;
    sums[name] += nanoseconds / 1e9;
  }
  return sums;
}

}  // namespace retouchd::bench
