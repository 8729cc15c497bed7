#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
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

/// A connection to the daemon that keeps many requests in flight and hears events.
///
/// Connecting never fails for a daemon that is away; libzmq connects again by itself, and requests sent meanwhile wait. Requests
/// that were under way when the connection broke are lost: send them again (submits name a key, so that nothing happens twice).
///
/// Threads: confined to one.
class Client {
 public:
  using Incoming = std::variant<std::monostate, Reply, Event>;

  /// To the daemon's request endpoint. kBadConfig when libzmq does not understand it.
  [[nodiscard]] static Result<std::unique_ptr<Client>> connect(const std::string& requests);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// Hears the events at the daemon's event endpoint (`ping` tells it) whose topic ("job.<id>.<kind>") begins with one of
  /// `prefixes`, and waits until the daemon has confirmed it: nothing that happens after that is missed. kUnreachable after
  /// `timeout`.
  [[nodiscard]] Result<void> listen(const std::string& events, std::span<const std::string> prefixes,
                                    std::chrono::milliseconds timeout);

  /// Sends one request under the id that it names; `content` travels as the binary frame.
  [[nodiscard]] Result<void> send(const Request& request, std::span<const std::uint8_t> content = {});

  /// The next reply or event; std::monostate after `timeout`, or when a signal came in.
  [[nodiscard]] Incoming next(std::chrono::milliseconds timeout);

  /// One request and its reply. Other replies and events that come meanwhile are kept for next().
  /// The reply's own error is the error of the result; kUnreachable after `timeout`.
  [[nodiscard]] Result<Reply> call(Operation operation, std::chrono::milliseconds timeout);

 private:
  struct Sockets;
  explicit Client(std::unique_ptr<Sockets> sockets);

  std::unique_ptr<Sockets> sockets_;
  std::uint64_t calls_ = 0;
};

}  // namespace retouchd::wire
