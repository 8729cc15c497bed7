#include "stages/claimer.h"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace retouchd::stages {
namespace {

/// A store that fails is asked again after this long.
constexpr std::chrono::seconds kStorePause{5};

}  // namespace

void Claimer::run() {
  while (true) {
    std::set<queue::JobId> cancelled;
    {
      const std::lock_guard lock(mutex_);
      if (stopped_) return;
      woken_ = false;
      cancelled.swap(to_cancel_);
    }
    cancel_requested_runs(cancelled);
    if (!claim_some()) wait();
  }
}

void Claimer::wake() {
  const std::lock_guard lock(mutex_);
  woken_ = true;
  changed_.notify_all();
}

void Claimer::cancel(queue::JobId id) {
  const std::lock_guard lock(mutex_);
  to_cancel_.insert(id);
  woken_ = true;
  changed_.notify_all();
}

void Claimer::stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  changed_.notify_all();
}

void Claimer::cancel_requested_runs(const std::set<queue::JobId>& ids) {
  if (ids.empty()) return;
  for (const RunPtr& run : in_flight_.all()) {
    if (ids.contains(run->job.id)) outcomes_.cancelled(*run);
  }
  scheduler_.drop_abandoned();
}

bool Claimer::claim_some() {
  const std::size_t running = in_flight_.count();
  if (running >= options_.most_in_flight) return false;
  const int room = std::min(options_.at_once, static_cast<int>(options_.most_in_flight - running));
  auto jobs = store_.claim(room, static_cast<int>(running));
  if (!jobs) {
    spdlog::error("no job can be claimed: {}", jobs.error().message);
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, kStorePause, [this] { return stopped_; });
    return true;
  }
  for (queue::Job& job : *jobs) {
    auto run = std::make_shared<PictureRun>(std::move(job));
    in_flight_.add(run);
    RunPtr next = run;
    if (!decode_.push(next)) outcomes_.hand_back(*run);
  }
  return !jobs->empty();
}

void Claimer::wait() {
  const bool is_full = in_flight_.count() >= options_.most_in_flight;
  const auto ready = is_full ? std::nullopt : store_.next_ready();
  std::unique_lock lock(mutex_);
  const auto is_wanted = [this] { return woken_ || stopped_; };
  if (!ready) {
    changed_.wait(lock, is_wanted);
  } else if (const auto pause = *ready - clock_.now(); pause.count() > 0) {
    changed_.wait_for(lock, pause, is_wanted);
  }
}

}  // namespace retouchd::stages
