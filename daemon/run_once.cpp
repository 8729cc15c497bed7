#include "daemon/run_once.h"

#include <fmt/core.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdlib>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>

#include "daemon/engine.h"
#include "daemon/pipeline.h"
#include "daemon/tool_refusal.h"
#include "intake/admission.h"
#include "intake/job_json.h"
#include "intake/wire/request.h"
#include "queue/sqlite_job_store.h"

namespace retouchd::daemon {
namespace {

namespace fs = std::filesystem;

/// A folder that goes with its owner.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (fs::temp_directory_path() / "retouchd-run.XXXXXX").string();
    if (::mkdtemp(pattern.data()) != nullptr) path_ = pattern;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  [[nodiscard]] const fs::path& path() const noexcept { return path_; }

 private:
  fs::path path_;
};

/// Which jobs have ended. Threads: safe.
class Endings {
 public:
  void on_events(const std::vector<queue::JobEvent>& events) {
    const std::lock_guard lock(mutex_);
    for (const queue::JobEvent& event : events) {
      if (event.kind == "done" || event.kind == "failed" || event.kind == "cancelled") ++ended_;
    }
    changed_.notify_all();
  }
  void wait_for(int jobs) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return ended_ >= jobs; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int ended_ = 0;
};

/// Tells the user and keeps the exit code: that of a single picture's failure, 1 when several pictures were asked for.
class Report {
 public:
  Report(bool json, std::size_t pictures) : json_(json), pictures_(pictures) {}

  void refused(const fs::path& file, const Error& error) {
    if (json_) {
      const nlohmann::json line{{"source", file.string()},
                                {"state", "failed"},
                                {"error", {{"code", error.name()}, {"message", error.message}, {"remedy", error.remedy()}}}};
      fmt::print("{}\n", line.dump());
    }
    failed(error);
  }

  void ended(const queue::Job& job) {
    if (json_) {
      fmt::print("{}\n", intake::job_to_json(job).dump());
    } else if (job.state == queue::JobState::kDone) {
      fmt::print("{}\n", job.output.string());
    }
    if (job.state != queue::JobState::kDone)
      failed(job.error.value_or(make_error(ErrorCode::kInternal, job.request.name + " was not restored")));
  }

  [[nodiscard]] int exit_code() const noexcept { return exit_code_; }

 private:
  void failed(const Error& error) {
    fmt::print(stderr, "retouch: {}\n  {}\n", error.message, error.remedy());
    exit_code_ = pictures_ == 1 ? traits_of(error.code).exit_code : 1;
  }

  const bool json_;
  const std::size_t pictures_;
  int exit_code_ = 0;
};

}  // namespace

int run_once(config::Config config, const RunOnceOptions& options) {
  const TemporaryFolder scratch;
  if (scratch.path().empty())
    return refuse(make_error(ErrorCode::kIoError, "no temporary folder can be made in " + fs::temp_directory_path().string()));
  const fs::path measurements = measurements_file(config);  // what this user's daemon knows already, if there is one
  config.state_dir = scratch.path();
  config.preview.enabled = false;  // nobody would see them
  config.retry.attempts = 1;
  config.cascade.policy = "local";
  config.cascade.skip_good = false;
  config.cloud.node.clear();
  if (!options.network.empty()) config.network = options.network;
  if (options.files.size() > 1 && !options.output.empty() && options.output.back() != '/' && !fs::is_directory(options.output)) {
    return refuse(make_error(ErrorCode::kInvalidRequest,
                             "several pictures need a folder as output, and " + options.output + " is none (end it in '/')"));
  }

  auto engine = open_engine(config, measurements);
  if (!engine) return refuse(engine.error());
  queue::SqliteJobStoreOptions store_options;
  store_options.file = config.state_dir / "jobs.sqlite";
  store_options.boot_id = "run";
  auto opened = queue::open_sqlite_job_store(store_options, system_clock());
  if (!opened) return refuse(opened.error());
  queue::JobStore& store = **opened;

  Endings endings;
  stages::PipelineObserver unobserved;
  PipelineOptions pipeline_settings = pipeline_options(config, *engine);
  pipeline_settings.retry.waits_for_disk = false;
  Pipeline pipeline(pipeline_settings, {store, *engine->codec, *engine->networks, *engine->devices, unobserved, system_clock(),
                                        [](queue::JobId, int, int) {}});
  store.set_listener([&](const std::vector<queue::JobEvent>& events) {
    pipeline.on_events(events);
    endings.on_events(events);
  });
  pipeline.start();

  intake::Admission::Options admission_options{config.state_dir, config.limits, config.network};
  admission_options.output = config.output;
  intake::Admission admission(admission_options, store, {});
  Report report(options.json, options.files.size());
  std::vector<queue::JobId> jobs;
  for (const fs::path& file : options.files) {
    wire::Submit submit;
    submit.path = fs::absolute(file).string();
    submit.output = options.output.empty() ? "" : (fs::absolute(options.output).string());
    submit.overwrite = options.overwrite;
    auto request = admission.prepare(submit, "run", std::nullopt);
    auto accepted = request ? store.accept_and_wait(*std::move(request)) : Result<queue::JobStore::Accepted>(request.error());
    if (accepted) {
      jobs.push_back(accepted->id);
    } else {
      report.refused(file, accepted.error());
    }
  }
  endings.wait_for(static_cast<int>(jobs.size()));
  for (const queue::JobId id : jobs) {
    if (const auto job = store.get(id)) report.ended(*job);
  }
  pipeline.drain(std::chrono::steady_clock::now());
  opened->reset();  // the listener's last call, before what it calls is gone
  return report.exit_code();
}

}  // namespace retouchd::daemon
