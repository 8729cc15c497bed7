#pragma once

#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>

#include "base/result.h"
#include "config/environment.h"
#include "intake/wire/client.h"

namespace retouchd::cli {

struct ConnectOptions {
  std::string endpoint;  ///< --connect; a bare path means ipc://; empty: where this machine's daemon listens
  std::string config;    ///< --config; empty: the usual places
};

/// How long the daemon may take for an answer.
inline constexpr std::chrono::milliseconds kPatience{10'000};

/// A daemon that has answered. Confined to one thread.
class Connection {
 public:
  /// Finds the daemon the way it finds its own endpoint, and pings it.
  /// kUnreachable when it does not answer, kBadConfig for a bad endpoint or configuration file.
  [[nodiscard]] static Result<Connection> open(const ConnectOptions& options, const config::Environment& environment);

  [[nodiscard]] wire::Client& client() { return *client_; }
  /// What the daemon said of itself (docs/protocol.md, ping), and "connected_to".
  [[nodiscard]] const nlohmann::json& about() const { return about_; }
  /// One request and its reply.
  [[nodiscard]] Result<wire::Reply> call(wire::Operation operation) { return client_->call(std::move(operation), kPatience); }
  /// From now on no event whose topic begins with one of `prefixes` is missed.
  [[nodiscard]] Result<void> listen(std::span<const std::string> prefixes);

 private:
  Connection(std::unique_ptr<wire::Client> client, nlohmann::json about) : client_(std::move(client)), about_(std::move(about)) {}

  std::unique_ptr<wire::Client> client_;
  nlohmann::json about_;
};

}  // namespace retouchd::cli
