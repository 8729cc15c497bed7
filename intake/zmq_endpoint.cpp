#include "intake/zmq_endpoint.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "config/endpoint.h"

namespace retouchd::intake {
namespace {

namespace fs = std::filesystem;

Result<void> make_way(const fs::path& path) {
  const auto refused = [](std::string why) { return make_error(ErrorCode::kBadConfig, std::move(why)); };
  if (path.string().size() > config::kLongestSocketPath) {
    return refused("the path is longer than the " + std::to_string(config::kLongestSocketPath) + " bytes that the system allows");
  }
  std::error_code failed;
  fs::create_directories(path.parent_path(), failed);
  if (failed) return refused("its folder cannot be made: " + failed.message());
  const auto status = fs::symlink_status(path, failed);
  if (status.type() == fs::file_type::not_found) return {};
  if (failed) return refused(failed.message());
  if (status.type() != fs::file_type::socket) return refused("a file that is not a socket is in the way");
  // libzmq would unlink a living socket and take its place without a word.
  if (config::find_listener(path) == config::Listener::kThere) return refused("another retouchd answers there");
  return {};
}

}  // namespace

Result<void> bind_endpoint(zmq::socket_t& socket, const std::string& key, const std::string& endpoint, std::uint32_t mode) {
  const std::string what = key + ": cannot listen on " + endpoint + ": ";
  const auto path = config::socket_path(endpoint);
  if (path) {
    if (auto free = make_way(*path); !free) return make_error(free.error().code, what + free.error().message);
  }
  try {
    if (endpoint.starts_with("tcp://[")) socket.set(zmq::sockopt::ipv6, true);
    socket.bind(endpoint);
  } catch (const zmq::error_t& error) {
    return make_error(ErrorCode::kBadConfig, what + error.what());
  }
  if (path && ::chmod(path->c_str(), mode) != 0) {
    return make_error(ErrorCode::kBadConfig, what + "its permissions cannot be set: " + std::strerror(errno));
  }
  return {};
}

void remove_endpoint(const std::string& endpoint) noexcept {
  std::error_code ignored;
  if (const auto path = config::socket_path(endpoint)) fs::remove(*path, ignored);
}

}  // namespace retouchd::intake
