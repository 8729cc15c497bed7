#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "base/result.h"
#include "config/config.h"
#include "intake/admission.h"
#include "intake/event_publisher.h"
#include "intake/zmq_operations.h"
#include "queue/job_store.h"

namespace retouchd::intake {

struct ZmqServerOptions {
  config::ZeroMq sockets;  ///< with both endpoints filled in
  std::string version;     ///< of the daemon, for `ping`
};

/// The daemon's messages on this machine: a ROUTER for requests and an XPUB for events (docs/protocol.md), see ZmqLoop.
///
/// Threads: safe. `store`, `admission` and `events` must outlive the server.
class ZmqServer {
 public:
  /// Binds both sockets (an ipc socket gets sockets.mode, its folder is made when missing) and serves.
  /// kBadConfig names the endpoint and the reason: in use by another daemon, no permission, not a socket.
  [[nodiscard]] static Result<std::unique_ptr<ZmqServer>> start(const ZmqServerOptions& options, queue::JobStore& store,
                                                                Admission& admission, EventPublisher& events, ZmqHooks hooks);
  /// stop().
  ~ZmqServer();
  ZmqServer(const ZmqServer&) = delete;
  ZmqServer& operator=(const ZmqServer&) = delete;

  /// Takes no more requests, answers those under way, publishes the events that wait (each for at most `patience`), closes the
  /// sockets. While the daemon drains leave the server running: submits are answered with kBusy, everything else works.
  void stop(std::chrono::milliseconds patience = std::chrono::milliseconds(2'000));

 private:
  struct Sockets;
  explicit ZmqServer(std::unique_ptr<Sockets> sockets);

  std::unique_ptr<Sockets> sockets_;
};

}  // namespace retouchd::intake
