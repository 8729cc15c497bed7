#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>

namespace retouchd::daemon {

/// Tells systemd how the service is doing (sd_notify). Without NOTIFY_SOCKET in the environment it does nothing.
///
/// With WatchdogSec= set it also feeds the watchdog, from start_watchdog() on, but only when something was achieved since the
/// last beat or there was truly nothing to do: a wedged stage or device must end the process, not be hidden by a timer that
/// always fires. A beat is looked for every half of WatchdogSec; while none is due, every twentieth, so that progress counts as
/// soon as it comes.
///
/// Threads: safe. `idle` runs on a thread of `io_context` and must not block. The io_context must outlive the notifier; handlers
/// that are still queued when the notifier goes do nothing.
class ServiceNotifier {
 public:
  using IdleCheck = std::function<bool()>;  ///< true: no job is running and none is ready to run

  ServiceNotifier(boost::asio::io_context& io_context, IdleCheck idle);
  ~ServiceNotifier();
  ServiceNotifier(const ServiceNotifier&) = delete;
  ServiceNotifier& operator=(const ServiceNotifier&) = delete;

  void ready(const std::string& status);   ///< also ends reloading()
  void status(const std::string& status);  ///< one line, shown by `systemctl status`
  void reloading();
  void stopping();

  /// Begins to feed the watchdog, when there is one. Call it once, when ready; systemd counts from then on.
  void start_watchdog();
  /// A batch, a stage or a job was finished.
  void progress() noexcept;

 private:
  class Watchdog;
  std::shared_ptr<Watchdog> watchdog_;
};

}  // namespace retouchd::daemon
