#include "intake/watch_set.h"

#include <pthread.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/post.hpp>
#include <exception>
#include <string_view>
#include <utility>

#include "intake/folder_watch.h"
#include "intake/job_ending.h"

namespace retouchd::intake {
namespace {

constexpr std::string_view kOrigin = "watch:";

/// Runs `io` until it has nothing left; what throws is a bug, and loses one handler but not the thread.
void run_to_the_end(boost::asio::io_context& io, const char* what) {
  ::pthread_setname_np(::pthread_self(), what);
  while (true) {
    try {
      io.run();
      return;
    } catch (const std::exception& error) {
      spdlog::error("{}: {}", what, error.what());
    }
  }
}

}  // namespace

/// One watched folder and its thread.
class WatchSet::Running {
 public:
  Running(queue::JobStore& store, const Clock& clock, const config::Watch& watch, const FolderWatchOptions& options)
      : watch_(watch), options_(options), folder_(io_, store, clock, watch, options) {
    folder_.start();
    thread_ = std::thread([this] {
      run_to_the_end(io_, "watch");
      ended_ = true;
    });
  }
  ~Running() {
    stop();
    if (thread_.joinable()) thread_.join();
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  [[nodiscard]] bool is_for(const config::Watch& watch, const FolderWatchOptions& options) const {
    return watch_ == watch && options_.network == options.network && options_.preview == options.preview &&
           options_.suffix == options.suffix && options_.excluded == options.excluded;
  }
  [[nodiscard]] bool has_ended() const { return ended_; }
  [[nodiscard]] WatchStatus status() const { return folder_.status(); }
  void rescan() { folder_.rescan(); }
  void stop() { folder_.stop(); }

 private:
  const config::Watch watch_;
  const FolderWatchOptions options_;
  boost::asio::io_context io_{1};
  FolderWatch folder_;
  std::atomic<bool> ended_{false};
  std::thread thread_;
};

WatchSet::WatchSet(queue::JobStore& store, const Clock& clock, CompanionOf companion_of)
    : store_(store),
      clock_(clock),
      companion_of_(std::move(companion_of)),
      endings_wanted_(endings_.get_executor()),
      finisher_([this] { run_to_the_end(endings_, "finisher"); }) {}

WatchSet::~WatchSet() { stop(); }

void WatchSet::replace(std::vector<config::Watch> watches, const Options& options) {
  FolderWatchOptions folder_options;
  folder_options.network = options.network;
  folder_options.preview = options.preview;
  folder_options.suffix = options.suffix;
  folder_options.excluded = options.excluded;
  folder_options.companion_of = companion_of_;
  for (const auto& watch : watches) {
    // Each watch stays out of the results of all others, too.
    folder_options.excluded.push_back(watch.output);
    if (!watch.move_to.empty()) folder_options.excluded.push_back(watch.move_to);
  }

  const std::lock_guard lock(mutex_);
  if (draining_) return;
  std::erase_if(retired_, [](const auto& running) { return running->has_ended(); });
  std::vector<std::unique_ptr<Running>> now;
  for (const auto& watch : watches) {
    const auto same = std::find_if(running_.begin(), running_.end(),
                                   [&](const auto& running) { return running && running->is_for(watch, folder_options); });
    now.push_back(same == running_.end() ? nullptr : std::move(*same));
  }
  for (auto& gone : running_) {
    if (!gone) continue;
    gone->stop();
    retired_.push_back(std::move(gone));
  }
  for (std::size_t i = 0; i < watches.size(); ++i) {
    if (!now[i]) now[i] = std::make_unique<Running>(store_, clock_, watches[i], folder_options);
  }
  running_ = std::move(now);
  watches_ = std::move(watches);
}

void WatchSet::rescan() {
  const std::lock_guard lock(mutex_);
  for (const auto& running : running_) running->rescan();
}

void WatchSet::on_event(const queue::JobEvent& event) {
  if (event.kind != "done" && event.kind != "failed") return;
  const std::lock_guard lock(mutex_);
  if (!stopped_) boost::asio::post(endings_, [this, id = event.job] { finish(id); });
}

void WatchSet::finish(queue::JobId id) {
  const auto job = store_.get(id);
  if (!job) {
    spdlog::warn("job {}: cannot be finished: {}", id, job.error().message);
    return;
  }
  config::Watch copy;
  const config::Watch* watch = nullptr;
  {
    const std::lock_guard lock(mutex_);
    const auto found = std::find_if(watches_.begin(), watches_.end(), [&](const auto& candidate) {
      return job->request.origin == std::string(kOrigin) + candidate.name;
    });
    if (found != watches_.end()) watch = &(copy = *found);
  }
  if (const auto finished = finish_job(watch, *job); !finished) {
    spdlog::warn("job {} is {}, but: {}", id, queue::name_of(job->state), finished.error().message);
  }
}

std::vector<WatchStatus> WatchSet::status() const {
  const std::lock_guard lock(mutex_);
  std::vector<WatchStatus> all;
  all.reserve(running_.size());
  for (const auto& running : running_) all.push_back(running->status());
  return all;
}

void WatchSet::drain() {
  std::vector<std::unique_ptr<Running>> ending;
  {
    const std::lock_guard lock(mutex_);
    draining_ = true;
    ending = std::move(running_);
    running_.clear();
    for (auto& running : retired_) ending.push_back(std::move(running));
    retired_.clear();
    for (const auto& running : ending) running->stop();
  }
  ending.clear();  // joins
}

void WatchSet::stop() {
  drain();
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  const std::lock_guard lock(stop_mutex_);
  endings_wanted_.reset();
  if (finisher_.joinable()) finisher_.join();
}

}  // namespace retouchd::intake
