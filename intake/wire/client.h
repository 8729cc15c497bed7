#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "base/result.h"
#include "intake/wire/reply.h"
#include "intake/wire/request.h"

namespace retouchd::wire {

/// One published event: {"v","n","job","seq","kind","at",...}.
struct Event {
  nlohmann::json body;
};

/// What a connection to a node needs, each 40 characters of Z85.
struct CurveKeys {
  std::string server_public;  ///< of the node: nobody else can answer
  std::string own_public;
  std::string own_secret;
};

/// A connection to the daemon that keeps many requests in flight and hears events.
///
/// Connecting never fails for a daemon that is away; libzmq connects again by itself, and requests sent meanwhile wait. Requests
/// that were under way when the connection broke are lost: send them again (submits name a key, so that nothing happens twice).
///
/// Threads: confined to one.
class Client {
 public:
  using Incoming = std::variant<std::monostate, Reply, Event>;

  /// To the daemon's request endpoint. With `curve` it is a node far away: encrypted, only the owner of that key answers, a dead
  /// line is noticed after 30 s, an answer has at most one chunk. A node that does not know our key never answers, and
  /// libzmq then gives this connection up: make a new one to ask again.
  /// kBadConfig when libzmq does not understand the endpoint or a key.
  [[nodiscard]] static Result<std::unique_ptr<Client>> connect(const std::string& requests,
                                                               const std::optional<CurveKeys>& curve = {});
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// Hears the events at the daemon's event endpoint (`ping` tells it) whose topic ("job.<id>.<kind>") begins with one of
  /// `prefixes`, and waits until the daemon has confirmed it: nothing that happens after that is missed. kUnreachable after
  /// `timeout`.
  [[nodiscard]] Result<void> listen(const std::string& events, std::span<const std::string> prefixes,
                                    std::chrono::milliseconds timeout);

  /// Sends one request under the id that it names; `content` travels as the binary frame of a submit or an upload. Never waits:
  /// kUnreachable when too much waits for the daemon already.
  [[nodiscard]] Result<void> send(const Request& request, std::span<const std::uint8_t> content = {});

  /// The next reply or event; std::monostate after `timeout`, or when a signal came in.
  [[nodiscard]] Incoming next(std::chrono::milliseconds timeout);

  /// One request and its reply. Other replies and events that come meanwhile are kept for next().
  /// The reply's own error is the error of the result; kUnreachable after `timeout`.
  [[nodiscard]] Result<Reply> call(Operation operation, std::chrono::milliseconds timeout,
                                   std::span<const std::uint8_t> content = {});

 private:
  struct Sockets;
  explicit Client(std::unique_ptr<Sockets> sockets);

  std::unique_ptr<Sockets> sockets_;
  std::uint64_t calls_ = 0;
};

}  // namespace retouchd::wire
