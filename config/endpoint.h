#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "config/config.h"
#include "config/environment.h"

namespace retouchd::config {

/// The longest path of a local socket: sockaddr_un::sun_path without its final zero.
inline constexpr std::size_t kLongestSocketPath = 107;

struct HostPort {
  std::string host;  ///< without the brackets of an IPv6 address
  std::uint16_t port = 0;
};

/// "127.0.0.1:9464" or "[::1]:9464": only addresses of this machine, since nothing there asks for a password.
/// Port 0 stands for any free one.
[[nodiscard]] Result<HostPort> parse_loopback(std::string_view text);

/// Refuses anything but ipc:///absolute/path and tcp:// on a loopback address with a fixed port.
[[nodiscard]] Result<void> check_endpoint(std::string_view endpoint);

/// The socket's path of an ipc:// endpoint; nothing for another transport.
[[nodiscard]] std::optional<std::filesystem::path> socket_path(std::string_view endpoint);

enum class Listener {
  kNone,    ///< nobody; a file may be there all the same, which a killed daemon left
  kDenied,  ///< a socket that we may not use
  kThere,
};

/// Who listens at a local socket. Tries to connect, does not wait.
[[nodiscard]] Listener find_listener(const std::filesystem::path& socket);

struct Endpoints {
  std::string requests;
  std::string events;
};

/// Where a client on this machine finds the daemon: the endpoints of `config` if they are tcp:// or somebody listens there; else
/// those of the caller's own service or desktop (/run/user/<uid>/retouchd), else those of a daemon of the caller that had no
/// XDG_RUNTIME_DIR
/// (<state_dir>/run), else those of the system service (/run/retouchd), whichever is served; else those of `config`. Needed
/// because shells differ in their environment, and because a service's folders come from systemd, which a client is not told.
[[nodiscard]] Endpoints client_endpoints(const Config& config, const Environment& environment);

/// ipc://<runtime_dir>/requests.sock and ipc://<runtime_dir>/events.sock.
[[nodiscard]] Endpoints default_endpoints(const std::filesystem::path& runtime_dir);

}  // namespace retouchd::config
