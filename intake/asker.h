#pragma once

#include <string>

namespace retouchd::intake {

/// Who sends a request: a program of this machine, which may do what the daemon may, or a guest: another daemon, which may only
/// have its own pictures restored.
struct Asker {
  std::string origin = "zmq";  ///< of its jobs and uploads
  bool is_guest = false;

  /// The daemon that is called `name` in the list of clients.
  [[nodiscard]] static Asker guest(const std::string& name) { return {"cloud:" + name, true}; }
};

}  // namespace retouchd::intake
