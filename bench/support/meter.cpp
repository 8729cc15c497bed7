#include "bench/support/meter.h"

#include <numeric>

namespace retouchd::bench {

void Meter::batch_finished(const stages::BatchReport& batch) {
  const std::lock_guard lock(mutex_);
  ++sums_.batches;
  sums_.tiles += batch.tiles;
  sums_.capacity += batch.capacity;
  sums_.useful_pixels += batch.useful_pixels;
  sums_.computed_pixels += batch.computed_pixels;
  sums_.batch_seconds += batch.took.count();
  if (!has_backlog_) return;
  sums_.backlog_tiles += batch.tiles;
  sums_.backlog_capacity += batch.capacity;
}

void Meter::device_busy(std::string_view, stages::Seconds computed) {
  const std::lock_guard lock(mutex_);
  sums_.busy_seconds += computed.count();
}

void Meter::device_starved(std::string_view, stages::StarvedCause cause, stages::Seconds waited) {
  const std::lock_guard lock(mutex_);
  sums_.starved_seconds[std::string(stages::name_of(cause))] += waited.count();
}

void Meter::stage_finished(std::string_view stage, stages::Seconds took) {
  const std::lock_guard lock(mutex_);
  sums_.stage_seconds[std::string(stage)] += took.count();
}

void Meter::set_backlog(bool has_backlog) {
  const std::lock_guard lock(mutex_);
  has_backlog_ = has_backlog;
}

Meter::Sums Meter::sums() const {
  const std::lock_guard lock(mutex_);
  return sums_;
}

double Meter::Sums::busy_ratio() const {
  const double starved = std::accumulate(starved_seconds.begin(), starved_seconds.end(), 0.0,
                                         [](double sum, const auto& cause) { return sum + cause.second; });
  return busy_seconds + starved > 0 ? busy_seconds / (busy_seconds + starved) : 0;
}

double Meter::Sums::fill() const { return capacity > 0 ? static_cast<double>(tiles) / static_cast<double>(capacity) : 0; }

double Meter::Sums::backlog_fill() const {
  return backlog_capacity > 0 ? static_cast<double>(backlog_tiles) / static_cast<double>(backlog_capacity) : 0;
}

nlohmann::json Meter::Sums::to_json() const {
  return {{"tiles", tiles},
          {"batches", batches},
          {"fill", fill()},
          {"useful_over_computed",
           computed_pixels > 0 ? static_cast<double>(useful_pixels) / static_cast<double>(computed_pixels) : 0},
          {"busy_ratio", busy_ratio()},
          {"busy_seconds", busy_seconds},
          {"starved_seconds", starved_seconds},
          {"stage_seconds", stage_seconds}};
}

}  // namespace retouchd::bench
