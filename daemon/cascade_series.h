#pragma once

#include <deque>
#include <mutex>
#include <optional>
#include <string_view>

#include "base/units.h"
#include "daemon/metric_families.h"
#include "daemon/status_source.h"
#include "queue/decision.h"

namespace retouchd::daemon {

/// The series about where pictures are restored and about the node they are escalated to. Threads: safe.
class CascadeSeries {
 public:
  static constexpr std::size_t kWindow = 2'000;  ///< pictures whose scores make up the live rate

  explicit CascadeSeries(prometheus::Registry& registry);

  /// The rate that is aimed at and the score below which pictures are escalated; another threshold, or another meaning of it
  /// (`threshold_db`, of the calibration), begins a new window.
  void set_cascade(double rate, double threshold, double threshold_db = 0);
  void routed(const queue::Decision& decision);
  /// A trip to the node is over; `result` as in cloud::EscalatorHooks.
  void ended(std::string_view result);
  void transferred(Bytes sent, Bytes received);
  /// Takes over what is gauged at the moment of a scrape.
  void show(const std::optional<CloudSnapshot>& cloud);

 private:
  Family<Counter>& decisions_;
  Histogram& score_;
  Histogram& noise_;
  Gauge& ratio_;
  Gauge& target_;
  Gauge& window_;
  Family<Counter>& ended_;
  Counter& sent_;
  Counter& received_;
  Family<Gauge>& breaker_;
  Gauge& escalations_left_;
  Gauge& bytes_left_;

  std::mutex mutex_;  // guards what follows
  double threshold_ = 0.9;
  double threshold_db_ = 0;
  std::deque<bool> below_;  ///< whether the last scores were below the threshold
  int count_below_ = 0;
};

}  // namespace retouchd::daemon
