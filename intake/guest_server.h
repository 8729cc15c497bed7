#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "base/result.h"
#include "config/config.h"
#include "intake/admission.h"
#include "intake/zmq_operations.h"
#include "queue/job_store.h"

namespace retouchd::intake {

struct GuestServerOptions {
  config::Serve serve;  ///< complete: with its files filled in
  std::string version;  ///< of the daemon, for `ping`
};

/// What makes a daemon a node: a ROUTER at serve.listen through which other daemons, those in the list of clients, have their
/// pictures restored (docs/protocol.md, "Nodes"). Encrypted and authenticated by CURVE; see guest_rules.h for what they may do.
///
/// A key that is taken off the list is refused from the next request on, also on a connection that is open.
///
/// Threads: safe. `store` and `admission` must outlive the server.
class GuestServer {
 public:
  /// kBadConfig names file or key, and the reason: no key pair, a bad line in the list of clients, an endpoint that is in use.
  [[nodiscard]] static Result<std::unique_ptr<GuestServer>> start(const GuestServerOptions& options, queue::JobStore& store,
                                                                  Admission& admission, ZmqHooks hooks);
  /// stop().
  ~GuestServer();
  GuestServer(const GuestServer&) = delete;
  GuestServer& operator=(const GuestServer&) = delete;

  /// Reads the list of clients anew. On an error the old one stays.
  [[nodiscard]] Result<void> reload_clients(const std::filesystem::path& clients);

  /// As ZmqServer::stop().
  void stop(std::chrono::milliseconds patience = std::chrono::milliseconds(2'000));

  /// Where it listens; with the port when that was left to the system.
  [[nodiscard]] const std::string& endpoint() const noexcept;
  [[nodiscard]] std::string public_key() const;
  [[nodiscard]] std::size_t clients() const;
  /// Connections that were turned away since the start, for an unknown key.
  [[nodiscard]] std::uint64_t denied() const noexcept;

 private:
  struct Sockets;
  explicit GuestServer(std::unique_ptr<Sockets> sockets);

  std::unique_ptr<Sockets> sockets_;
};

}  // namespace retouchd::intake
