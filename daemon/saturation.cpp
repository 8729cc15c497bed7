#include "daemon/saturation.h"

#include <algorithm>

namespace retouchd::daemon {

Saturation::Work& Saturation::Work::operator+=(const Work& other) {
  busy_s += other.busy_s;
  for (std::size_t i = 0; i < starved_s.size(); ++i) starved_s[i] += other.starved_s[i];
  tiles += other.tiles;
  capacity += other.capacity;
  useful_pixels += other.useful_pixels;
  computed_pixels += other.computed_pixels;
  return *this;
}

Saturation::Saturation(const Clock& clock) : clock_(clock), start_(clock.steady_now()) {}

Saturation::Work& Saturation::now_of(std::string_view device) {
  auto found = devices_.find(device);
  if (found == devices_.end()) found = devices_.try_emplace(std::string(device)).first;
  return found->second.at(second());
}

void Saturation::device_busy(std::string_view device, stages::Seconds computed) {
  const std::lock_guard lock(mutex_);
  now_of(device).busy_s += computed.count();
}

void Saturation::device_starved(std::string_view device, stages::StarvedCause cause, stages::Seconds waited) {
  const auto* place = std::find(kStarvedCauses.begin(), kStarvedCauses.end(), cause);
  if (place == kStarvedCauses.end()) return;
  const std::lock_guard lock(mutex_);
  now_of(device).starved_s[static_cast<std::size_t>(place - kStarvedCauses.begin())] += waited.count();
}

void Saturation::batch_finished(const stages::BatchReport& batch) {
  const std::lock_guard lock(mutex_);
  Work& now = now_of(batch.device);
  now.tiles += batch.tiles;
  now.capacity += batch.capacity;
  now.useful_pixels += batch.useful_pixels;
  now.computed_pixels += batch.computed_pixels;
}

void Saturation::job_done() {
  const std::lock_guard lock(mutex_);
  ++jobs_done_.at(second());
}

DeviceLoad Saturation::load_of(const Work& work) const {
  DeviceLoad load;
  load.starved_s = work.starved_s;
  double reported = work.busy_s;
  for (const double starved : work.starved_s) reported += starved;
  if (reported > 0) load.busy_ratio = work.busy_s / reported;
  // What the ring holds: 59 whole seconds and the one that has begun; less in the first minute.
  const double began = age().count();
  const double held = std::min(began, began - static_cast<double>(second()) + static_cast<double>(kSeconds - 1));
  load.tiles_per_s = static_cast<double>(work.tiles) / std::max(held, 1.0);
  if (work.capacity > 0) load.batch_fill = static_cast<double>(work.tiles) / static_cast<double>(work.capacity);
  if (work.useful_pixels > 0)
    load.waste_ratio = static_cast<double>(work.computed_pixels) / static_cast<double>(work.useful_pixels);
  return load;
}

DeviceLoad Saturation::of(std::string_view device) const {
  const std::lock_guard lock(mutex_);
  const auto found = devices_.find(device);
  return found != devices_.end() ? load_of(found->second.sum(second())) : DeviceLoad{};
}

DeviceLoad Saturation::all() const {
  const std::lock_guard lock(mutex_);
  Work work;
  for (const auto& [device, ring] : devices_) work += ring.sum(second());
  return load_of(work);
}

std::uint64_t Saturation::jobs_done() const {
  const std::lock_guard lock(mutex_);
  return jobs_done_.sum(second());
}

}  // namespace retouchd::daemon
