#include "config/endpoint.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <charconv>
#include <system_error>

#include "base/file.h"

namespace retouchd::config {
namespace {

namespace fs = std::filesystem;

Error refused(std::string why) { return make_error(ErrorCode::kBadConfig, std::move(why)); }

bool is_loopback(const std::string& host) {
  if (in6_addr six{}; inet_pton(AF_INET6, host.c_str(), &six) == 1) return IN6_IS_ADDR_LOOPBACK(&six);
  if (in_addr four{}; inet_pton(AF_INET, host.c_str(), &four) == 1) return (ntohl(four.s_addr) >> 24) == 127;
  return false;
}

/// A socket that we may not use counts: the user should hear of that.
bool is_served(const std::string& endpoint) {
  const auto path = socket_path(endpoint);
  return path && find_listener(*path) != Listener::kNone;
}

}  // namespace

Result<HostPort> parse_loopback(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return refused("host and port are needed, such as 127.0.0.1:9464");
  HostPort result;
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (!bracketed && host.find(':') != std::string_view::npos)
    return refused("an IPv6 address needs brackets, such as [::1]:9464");
  result.host = host;
  const std::string_view port = text.substr(colon + 1);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), result.port);
  if (error != std::errc{} || end != port.data() + port.size()) return refused("the port is a number from 0 to 65535");
  if (result.host == "localhost") return refused("an address is needed instead of a name: write 127.0.0.1 or [::1]");
  if (!is_loopback(result.host)) {
    return refused(
        "only this machine's own addresses are allowed, because nobody is asked for a password there; "
        "for access from elsewhere use an SSH tunnel or a reverse proxy");
  }
  return result;
}

Result<void> check_endpoint(std::string_view endpoint) {
  if (endpoint.starts_with("ipc://")) {
    if (!fs::path(endpoint.substr(6)).is_absolute())
      return refused("the socket's path must be absolute, such as ipc:///run/retouchd/requests.sock");
    return {};
  }
  if (!endpoint.starts_with("tcp://")) return refused("the endpoint must begin with ipc:// or tcp://");
  auto address = parse_loopback(endpoint.substr(6));
  if (!address) return address.error();
  if (address->port == 0) return refused("clients need a fixed port");
  return {};
}

std::optional<fs::path> socket_path(std::string_view endpoint) {
  if (!endpoint.starts_with("ipc://")) return std::nullopt;
  return fs::path(endpoint.substr(6));
}

Listener find_listener(const fs::path& socket) {
  sockaddr_un address{};
  if (socket.native().size() > kLongestSocketPath) return Listener::kNone;
  address.sun_family = AF_UNIX;
  socket.native().copy(address.sun_path, kLongestSocketPath);
  const UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe.valid()) return Listener::kNone;
  if (::connect(probe.get(), static_cast<const sockaddr*>(static_cast<const void*>(&address)), sizeof address) == 0) {
    return Listener::kThere;
  }
  if (errno == EACCES) return Listener::kDenied;
  return errno == EAGAIN || errno == EINPROGRESS ? Listener::kThere : Listener::kNone;
}

Endpoints default_endpoints(const fs::path& runtime_dir) {
  return {"ipc://" + (runtime_dir / "requests.sock").string(), "ipc://" + (runtime_dir / "events.sock").string()};
}

Endpoints client_endpoints(const Config& config, const Environment& environment) {
  Endpoints configured{config.zmq.requests, config.zmq.events};
  if (!socket_path(configured.requests) || is_served(configured.requests)) return configured;
  for (const fs::path& folder : {environment.user_runtime_root / std::to_string(environment.uid) / "retouchd",
                                 default_state_dir(environment) / "run", environment.system_runtime_dir}) {
    if (Endpoints found = default_endpoints(folder); is_served(found.requests)) return found;
  }
  return configured;
}

}  // namespace retouchd::config
