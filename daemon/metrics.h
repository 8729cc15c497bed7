#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "daemon/status_source.h"
#include "queue/job.h"
#include "stages/observer.h"

namespace retouchd::daemon {

struct MetricsOptions {
  std::string version;
  std::string libtorch;                  ///< its version
  std::string device;                    ///< the devices in use, "cpu" or "cuda:0,cuda:1"; their series exist from the start
  std::string network;                   ///< the default network
  std::vector<std::string> request_ops;  ///< the protocol's operations; any other is counted as op="unknown"
  const Clock* clock = &system_clock();  ///< must outlive the metrics
};

/// Everything retouchd measures, as Prometheus series named retouchd_*. Alerts and the dashboard in monitoring/ use the names.
///
/// Labels never carry text from outside that could grow without bound: error codes and operations come from fixed lists, origins
/// are cut before the ':' and at most kMaxOrigins of them are told apart.
///
/// Threads: safe.
class Metrics final : public stages::PipelineObserver {
 public:
  static constexpr std::size_t kMaxOrigins = 16;   ///< more are counted as origin="other"
  static constexpr std::size_t kMaxOpen = 65'536;  ///< jobs remembered for jobs_waiting, and for the origin when they end

  explicit Metrics(const MetricsOptions& options);
  ~Metrics() override;

  // From the pipeline. Retries are counted from the store's events, which also know those that no stage saw.
  void stage_finished(std::string_view stage, stages::Seconds took) override;
  void batch_finished(const stages::BatchReport& batch) override;
  void tile_finished(bool preview) override;
  void device_busy(std::string_view device, stages::Seconds computed) override;
  void device_starved(std::string_view device, stages::StarvedCause cause, stages::Seconds waited) override;
  void device_up(std::string_view device, bool is_up) override;
  void tiles_rerun(std::string_view device, stages::RerunReason reason, std::size_t tiles) override;
  void tiles_resumed(std::size_t tiles) override;
  void seams_measured(double ratio) override;
  void routed(const queue::Decision& decision) override;
  void preview_ready(stages::Seconds since_accepted) override;
  void job_done(stages::Seconds since_accepted) override;

  /// From the job store's listener. Reads "origin" and "code" (or "error.code") of the bodies; copes without them. A job that
  /// ends in another run of the daemon than it was accepted in counts for origin="unknown" when its last event does not name the
  /// origin.
  void on_events(const std::vector<queue::JobEvent>& events);
  void store_committed(stages::Seconds took);
  void store_failed();

  /// Of the configuration: CascadeSeries::set_cascade().
  void set_cascade(double rate, double threshold, double threshold_db = 0);
  /// From the escalator.
  void escalation_ended(std::string_view result);
  void cloud_transferred(Bytes sent, Bytes received);

  /// From intake: one request answered; `result` is "ok" or the wire name of an error code.
  void request_answered(std::string_view op, std::string_view result);
  void event_published();
  void config_reloaded(bool ok);

  /// From the callbacks: "delivered", "retried", "dropped"; "ok", "failed", "timeout", "dropped".
  void notified(std::string_view result);
  void hook_ended(std::string_view result);

  /// Adds what is measured here to a snapshot: version, uptime, jobs_done, and the load of its devices. Devices that device_up()
  /// told of and that the snapshot lacks join it.
  void add_load(Snapshot& snapshot) const;

  /// Takes over the gauges and totals in `snapshot` and returns all series in the text format, version 0.0.4. Needs no add_load()
  /// before.
  [[nodiscard]] std::string render(Snapshot snapshot);

 private:
  struct Series;
  std::unique_ptr<Series> series_;
};

}  // namespace retouchd::daemon
