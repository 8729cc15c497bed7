#include "cli/connection.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "config/endpoint.h"
#include "config/reader.h"

namespace retouchd::cli {
namespace {

constexpr std::chrono::milliseconds kFirstAnswer{3'000};

Result<std::string> find_endpoint(const ConnectOptions& options, const config::Environment& environment) {
  if (options.endpoint.starts_with('/')) return "ipc://" + options.endpoint;
  if (!options.endpoint.empty()) return options.endpoint;
  const auto chosen =
      options.config.empty() ? std::nullopt : std::optional<std::filesystem::path>(std::filesystem::absolute(options.config));
  auto config = config::load_config(chosen, environment);
  if (!config) return config.error();
  if (!config->zmq.enabled) return make_error(ErrorCode::kUnreachable, "zmq.enabled is false in " + config->file.string());
  return config::client_endpoints(*config, environment).requests;
}

}  // namespace

Result<Connection> Connection::open(const ConnectOptions& options, const config::Environment& environment) {
  auto endpoint = find_endpoint(options, environment);
  if (!endpoint) return endpoint.error();
  const auto away = [&](const std::string& why) {
    return make_error(ErrorCode::kUnreachable, "no retouchd answers at " + *endpoint + ": " + why);
  };
  std::error_code ignored;
  if (const auto path = config::socket_path(*endpoint); path && !std::filesystem::exists(*path, ignored)) {
    return away("there is no such socket");
  }
  auto client = wire::Client::connect(*endpoint);
  if (!client) return client.error();
  auto reply = (*client)->call(wire::Ping{}, kFirstAnswer);
  if (!reply && reply.error().code == ErrorCode::kUnreachable)
    return away("no answer within " + std::to_string(kFirstAnswer.count()) + " ms");
  if (!reply) return reply.error();
  nlohmann::json about = std::move(reply->body);
  about["connected_to"] = *endpoint;
  return Connection(std::move(*client), std::move(about));
}

Result<void> Connection::listen(std::span<const std::string> prefixes) {
  return client_->listen(about_.value("events", ""), prefixes, kFirstAnswer);
}

}  // namespace retouchd::cli
