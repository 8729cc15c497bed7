#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "base/result.h"
#include "config/config.h"
#include "config/environment.h"
#include "daemon/callbacks.h"
#include "daemon/engine.h"
#include "daemon/escalation.h"
#include "daemon/http_server.h"
#include "daemon/metrics.h"
#include "daemon/pipeline.h"
#include "daemon/progress_board.h"
#include "daemon/service_notifier.h"
#include "intake/admission.h"
#include "intake/event_publisher.h"
#include "intake/guest_server.h"
#include "intake/watch_set.h"
#include "intake/zmq_server.h"
#include "queue/job_store.h"
#include "queue/state_lock.h"
#include "stages/observer.h"

namespace retouchd::daemon {

/// The daemon from start to exit: opens everything in order, serves, reloads on SIGHUP, drains on SIGTERM or SIGINT.
///
///   intake (folders, ZeroMQ) -> job store -> pipeline -> job store -> events, reports, metrics
///
/// Threads: start() and run() on one thread, which becomes the io_context's: timers, signals and HTTP.
class Service {
 public:
  /// `config_file`: as given by --config, for reloads.
  Service(config::Config config, std::optional<std::filesystem::path> config_file, config::Environment environment);
  ~Service();

  /// Opens the state directory, the device, the store, and intake last. The error says what to do.
  [[nodiscard]] Result<void> start();

  /// Serves until told to stop, then drains. The exit code: 1 when the job store broke or no device answers any more, and the
  /// service must be started again.
  [[nodiscard]] int run();

 private:
  /// Everything the pipeline measures goes to the metrics; what shows that work goes on feeds the watchdog, too.
  class Reporter;

  [[nodiscard]] Result<void> open_folders();
  [[nodiscard]] Result<void> start_intake();
  [[nodiscard]] Result<void> start_http();
  void on_events(const std::vector<queue::JobEvent>& events);
  void await_signal();
  void begin_drain();
  void reload();
  void keep_house();
  void watch_devices();
  [[nodiscard]] cloud::EscalatorHooks escalator_hooks();
  [[nodiscard]] bool is_idle() const;
  [[nodiscard]] std::string summary() const;  ///< for `systemctl status`
  [[nodiscard]] Snapshot snapshot() const;
  [[nodiscard]] intake::ZmqHooks zmq_hooks();

  config::Config config_;
  const std::optional<std::filesystem::path> config_file_;
  const config::Environment environment_;
  const Clock& clock_;

  boost::asio::io_context io_;
  boost::asio::signal_set signals_;
  boost::asio::steady_timer housekeeping_timer_;
  boost::asio::steady_timer device_timer_;
  std::optional<std::chrono::steady_clock::time_point> devices_lost_at_;  ///< all of them
  boost::asio::thread_pool housekeeping_{1};
  std::thread draining_thread_;
  std::atomic<bool> draining_ = false;
  std::atomic<bool> ready_ = false;
  std::atomic<bool> must_start_anew_ = false;  ///< only a new process can help

  std::optional<queue::StateLock> lock_;
  Engine engine_;
  std::unique_ptr<Metrics> metrics_;
  std::unique_ptr<ServiceNotifier> notifier_;
  std::unique_ptr<Reporter> reporter_;
  intake::EventPublisher events_;
  ProgressBoard progress_;
  std::unique_ptr<queue::JobStore> store_;
  std::unique_ptr<Callbacks> callbacks_;
  std::unique_ptr<Escalation> escalation_;  ///< null: there is no node
  std::unique_ptr<Pipeline> pipeline_;
  std::unique_ptr<intake::WatchSet> watches_;
  std::unique_ptr<intake::Admission> admission_;
  std::unique_ptr<intake::ZmqServer> zmq_;
  std::unique_ptr<intake::GuestServer> guests_;  ///< only with role: cloud
  std::unique_ptr<HttpServer> http_;
};

}  // namespace retouchd::daemon
