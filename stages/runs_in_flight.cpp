#include "stages/runs_in_flight.h"

namespace retouchd::stages {

void RunsInFlight::add(const RunPtr& run) {
  const std::lock_guard lock(mutex_);
  runs_[run->job.id] = run;
}

void RunsInFlight::remove(queue::JobId id) {
  const std::lock_guard lock(mutex_);
  runs_.erase(id);
  if (runs_.empty()) emptied_.notify_all();
}

std::size_t RunsInFlight::count() const {
  const std::lock_guard lock(mutex_);
  return runs_.size();
}

std::vector<RunPtr> RunsInFlight::all() const {
  const std::lock_guard lock(mutex_);
  std::vector<RunPtr> runs;
  for (const auto& [id, weak] : runs_) {
    if (RunPtr run = weak.lock()) runs.push_back(std::move(run));
  }
  return runs;
}

bool RunsInFlight::wait_until_empty(std::chrono::steady_clock::time_point until) const {
  std::unique_lock lock(mutex_);
  return emptied_.wait_until(lock, until, [this] { return runs_.empty(); });
}

}  // namespace retouchd::stages
