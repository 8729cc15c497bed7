#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/metric_families.h"
#include "daemon/status_source.h"
#include "stages/observer.h"

namespace retouchd::daemon {

/// The series about devices, batches, tiles and who gets the devices' time: the part of Metrics that shows how full they are.
/// Threads: safe.
class DeviceSeries {
 public:
  static constexpr std::size_t kFillWindow = 60;  ///< batches that batch_fill_ratio averages

  explicit DeviceSeries(prometheus::Registry& registry);

  /// From now on all series of a device exist, with 0.
  void add(std::string_view device);

  // As in stages::PipelineObserver.
  void batch_finished(const stages::BatchReport& batch);
  void tile_finished(bool preview);
  void device_busy(std::string_view device, stages::Seconds computed);
  void device_starved(std::string_view device, stages::StarvedCause cause, stages::Seconds waited);
  void device_up(std::string_view device, bool is_up);
  void tiles_rerun(std::string_view device, stages::RerunReason reason, std::size_t tiles);
  void tiles_resumed(std::size_t tiles);
  void seams_measured(double ratio);

  /// Takes over what is gauged at the moment of a scrape. `devices` and `clients` are the snapshot's, `all` is of all devices.
  void show(const std::vector<DeviceSnapshot>& devices, const DeviceLoad& all, const std::vector<ClientSnapshot>& clients);

  /// What device_up() said last, by name.
  [[nodiscard]] std::map<std::string, bool> told_up() const;

 private:
  Family<Counter>& tiles_;
  Histogram& batch_tiles_;
  Histogram& batch_pictures_;
  Gauge& batch_fill_;
  Counter& useful_pixels_;
  Counter& computed_pixels_;
  Gauge& waste_;
  Family<Gauge>& up_;
  Family<Gauge>& busy_ratio_;
  Family<Counter>& busy_;
  Family<Counter>& starved_;
  Family<Counter>& rerun_;
  Counter& resumed_;
  Histogram& seam_ratio_;
  Gauge& fairness_;
  Gauge& clients_;

  mutable std::mutex mutex_;  // guards what follows
  std::set<std::string, std::less<>> known_;
  std::map<std::string, bool> told_up_;
  std::deque<double> fills_;
};

}  // namespace retouchd::daemon
