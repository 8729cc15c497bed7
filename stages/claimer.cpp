#include "stages/claimer.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

namespace retouchd::stages {
namespace {

/// A store that fails is asked again after this long.
constexpr std::chrono::seconds kStorePause{5};

constexpr int kMostOutOfOrder = 8;

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
  const auto in_order = [this] {
    claims_out_of_order_ = 0;
    return claim({.count = 1}) > 0;
  };
  const std::size_t running = in_flight_.count();
  if (running >= options_.most_in_flight) return false;
  if (running == 0 || options_.wants_more() || claims_out_of_order_ >= kMostOutOfOrder) return in_order();

  std::size_t small = 0;
  std::map<std::string, std::size_t> of_origin;
  for (const RunPtr& run : in_flight_.all()) {
    if (run->job.request.identity.size <= options_.small_file.value) ++small;
    ++of_origin[run->job.request.origin];
  }
  queue::ClaimRequest request;
  if (small < options_.most_small) {
    const std::size_t room = std::min(options_.most_small - small, options_.most_in_flight - running);
    request.count = static_cast<int>(std::min(room, static_cast<std::size_t>(options_.at_once)));
    request.largest_file = options_.small_file.value;
    if (const std::size_t claimed = claim(request); claimed > 0) {
      claims_out_of_order_ += static_cast<int>(claimed);
      return true;
    }
    request = {};
  }
  for (const auto& [origin, jobs] : of_origin) {
    if (jobs >= options_.few) request.not_from.push_back(origin);
  }
  if (claim(request) == 0) return false;
  ++claims_out_of_order_;
  return true;
}

std::size_t Claimer::claim(const queue::ClaimRequest& request) {
  queue::ClaimRequest wanted = request;
  wanted.running = static_cast<int>(in_flight_.count());
  auto jobs = store_.claim(wanted);
  if (!jobs) {
    spdlog::error("no job can be claimed: {}", jobs.error().message);
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, kStorePause, [this] { return stopped_; });
    return 1;
  }
  for (queue::Job& job : *jobs) {
    auto run = std::make_shared<PictureRun>(std::move(job));
    in_flight_.add(run);
    RunPtr next = run;
    if (!decode_.push(next)) outcomes_.hand_back(*run);
  }
  return jobs->size();
}

void Claimer::wait() {
  auto ready = in_flight_.count() >= options_.most_in_flight ? std::nullopt : store_.next_ready();
  // Jobs that are ready and were not claimed are not wanted now: whoever wants them wakes us.
  if (ready && *ready <= clock_.now() && !options_.wants_more()) ready.reset();
  std::unique_lock lock(mutex_);
  const auto is_wanted = [this] { return woken_ || stopped_; };
  if (!ready) {
    changed_.wait(lock, is_wanted);
  } else if (const auto pause = *ready - clock_.now(); pause.count() > 0) {
    changed_.wait_for(lock, pause, is_wanted);
  }
}

}  // namespace retouchd::stages
