#include "stages/device_meter.h"

#include <algorithm>
#include <utility>

namespace retouchd::stages {

DeviceMeter::DeviceMeter(Options options, PipelineObserver& observer, std::function<StarvedCause()> why_idle, Now now)
    : options_(std::move(options)),
      observer_(observer),
      why_idle_(std::move(why_idle)),
      now_(std::move(now)),
      phases_(options_.slots, Phase::kWaiting),
      accounted_until_(now_()) {}

std::size_t DeviceMeter::count(Phase phase) const {
  return static_cast<std::size_t>(std::count(phases_.begin(), phases_.end(), phase));
}

void DeviceMeter::account() {
  const auto now = now_();
  const Seconds passed = now - accounted_until_;
  if (passed.count() <= 0) return;
  accounted_until_ = now;
  const double busy =
      static_cast<double>(std::min(count(Phase::kComputing), options_.lanes)) / static_cast<double>(options_.lanes);
  if (busy > 0) observer_.device_busy(options_.device, passed * busy);
  if (busy >= 1) return;
  const StarvedCause cause = count(Phase::kHandingOver) > 0 ? StarvedCause::kMerge
                             : count(Phase::kCopying) > 0   ? StarvedCause::kUpload
                                                            : why_idle_();
  observer_.device_starved(options_.device, cause, passed * (1 - busy));
}

void DeviceMeter::enter(std::size_t slot, Phase phase) {
  const std::lock_guard lock(mutex_);
  account();
  phases_[slot] = phase;
  in_flight_.store(count(Phase::kCopying) + count(Phase::kComputing));
}

void DeviceMeter::report() {
  const std::lock_guard lock(mutex_);
  account();
}

void DeviceMeter::skip() {
  const std::lock_guard lock(mutex_);
  accounted_until_ = now_();
}

}  // namespace retouchd::stages
