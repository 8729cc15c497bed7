#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/units.h"

namespace retouchd::config {

/// What the defaults depend on outside the configuration file. A plain value, so that tests can make one up.
/// A path that is unset (or, as the XDG rules ask, relative) is empty.
struct Environment {
  std::filesystem::path home;
  std::filesystem::path xdg_config_home;
  std::filesystem::path xdg_state_home;
  std::filesystem::path xdg_runtime_dir;
  std::filesystem::path state_directory;    ///< $STATE_DIRECTORY, set by systemd; the first of several
  std::filesystem::path runtime_directory;  ///< $RUNTIME_DIRECTORY, likewise
  unsigned uid = 0;
  Bytes physical_memory{0};  ///< of the machine or of our control group, whichever is less; 0: unknown

  std::filesystem::path system_config_dir = "/etc/retouchd";
  std::filesystem::path system_runtime_dir = "/run/retouchd";  ///< of the system service
  std::filesystem::path user_runtime_root = "/run/user";       ///< holds <uid>/retouchd

  /// Of the calling process. Reads environment variables: not while another thread changes them.
  [[nodiscard]] static Environment of_process();
};

/// $XDG_CONFIG_HOME/retouchd/config.yaml (~/.config/... when unset) if it exists, else /etc/retouchd/config.yaml if
/// it exists, else nothing: the built-in defaults hold.
[[nodiscard]] std::optional<std::filesystem::path> find_config_file(const Environment& environment);

/// $STATE_DIRECTORY, else $XDG_STATE_HOME/retouchd, else ~/.local/state/retouchd, else /var/lib/retouchd.
[[nodiscard]] std::filesystem::path default_state_dir(const Environment& environment);

/// $RUNTIME_DIRECTORY, else $XDG_RUNTIME_DIR/retouchd, else <state_dir>/run.
[[nodiscard]] std::filesystem::path default_runtime_dir(const Environment& environment, const std::filesystem::path& state_dir);

/// Half of the machine's memory, at least 256 MiB.
[[nodiscard]] Bytes default_memory(const Environment& environment);

}  // namespace retouchd::config
