#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <zmq.hpp>

#include "base/result.h"
#include "intake/event_publisher.h"

namespace retouchd::intake {

/// The XPUB socket that tells events to whoever subscribed. A subscriber that does not read loses events, nobody else does.
///
/// Threads: confined to the one that owns the sockets; bind() before that.
class ZmqFeed {
 public:
  /// `published` (may be empty): once per event that went out.
  ZmqFeed(zmq::context_t& context, EventPublisher& events, std::function<void()> published);

  /// kBadConfig as bind_endpoint().
  [[nodiscard]] Result<void> bind(const std::string& endpoint, std::uint32_t mode);
  void set_wakeup(std::function<void()> wakeup) { events_.set_wakeup(std::move(wakeup)); }

  /// Publishes some of what waits; true when there may be more.
  bool publish();
  /// Answers those who subscribed to a topic "hello.<something>".
  void greet();
  /// Publishes what waits, for at most `patience`, and closes.
  void finish(std::chrono::milliseconds patience);

  [[nodiscard]] void* handle() noexcept { return socket_.handle(); }

 private:
  EventPublisher& events_;
  const std::function<void()> published_;
  zmq::socket_t socket_;
  std::string endpoint_;
};

}  // namespace retouchd::intake
