#include "daemon/service_notifier.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <systemd/sd-daemon.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <cerrno>
#include <chrono>
#include <cstring>

namespace retouchd::daemon {
namespace {

void notify(const std::string& message) {
  int result = 0;
  do {
    result = sd_notify(/*unset_environment=*/0, message.c_str());
  } while (result == -EINTR);
  if (result < 0) spdlog::warn("Cannot notify the service manager: {}", std::strerror(-result));
}

/// The protocol is one assignment a line.
std::string status_line(std::string text) {
  std::ranges::replace(text, '\n', ' ');
  return "STATUS=" + text;
}

}  // namespace

class ServiceNotifier::Watchdog : public std::enable_shared_from_this<Watchdog> {
 public:
  Watchdog(boost::asio::io_context& io_context, IdleCheck idle)
      : idle_(std::move(idle)), strand_(boost::asio::make_strand(io_context)), timer_(strand_) {
    std::uint64_t timeout_us = 0;
    if (sd_watchdog_enabled(/*unset_environment=*/0, &timeout_us) > 0) timeout_ = std::chrono::microseconds(timeout_us);
  }

  void start() {
    if (timeout_.count() == 0) return;
    boost::asio::post(strand_, [self = shared_from_this()] { self->wait(self->timeout_ / 2); });
  }

  /// Idle checks that began before may still be running.
  void stop() {
    stopped_ = true;
    boost::asio::post(strand_, [self = shared_from_this()] { self->timer_.cancel(); });
  }

  void progress() noexcept { progressed_.store(true, std::memory_order_relaxed); }

 private:
  void wait(std::chrono::microseconds time) {
    timer_.expires_after(time);
    timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
      const auto self = weak.lock();
      if (!error && self && !self->stopped_) self->look();
    });
  }

  void look() {
    const bool alive = progressed_.exchange(false, std::memory_order_relaxed) || idle_();
    if (alive) notify("WATCHDOG=1");
    wait(alive ? timeout_ / 2 : timeout_ / 20);
  }

  const IdleCheck idle_;
  std::chrono::microseconds timeout_{0};
  boost::asio::strand<boost::asio::io_context::executor_type> strand_;
  boost::asio::steady_timer timer_;
  std::atomic<bool> progressed_{false};
  std::atomic<bool> stopped_{false};
};

ServiceNotifier::ServiceNotifier(boost::asio::io_context& io_context, IdleCheck idle)
    : watchdog_(std::make_shared<Watchdog>(io_context, std::move(idle))) {}

ServiceNotifier::~ServiceNotifier() { watchdog_->stop(); }

void ServiceNotifier::ready(const std::string& status) { notify("READY=1\n" + status_line(status)); }

void ServiceNotifier::status(const std::string& status) { notify(status_line(status)); }

void ServiceNotifier::reloading() {
  // systemd 253 and later want to know when, to tell this reload from an older one (Type=notify-reload).
  const auto now = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now().time_since_epoch());
  notify(fmt::format("RELOADING=1\nMONOTONIC_USEC={}", now.count()));
}

void ServiceNotifier::stopping() { notify("STOPPING=1"); }

void ServiceNotifier::start_watchdog() { watchdog_->start(); }

void ServiceNotifier::progress() noexcept { watchdog_->progress(); }

}  // namespace retouchd::daemon
