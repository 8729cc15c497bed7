#include "config/environment.h"

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <string_view>

namespace retouchd::config {
namespace {

namespace fs = std::filesystem;

fs::path absolute_variable(const char* name) {
  const char* text = std::getenv(name);
  if (text == nullptr) return {};
  const std::string_view first = std::string_view(text).substr(0, std::string_view(text).find(':'));
  fs::path path(first);
  return path.is_absolute() ? path : fs::path{};
}

fs::path home_of_process() {
  if (const char* home = std::getenv("HOME"); home != nullptr && fs::path(home).is_absolute()) return home;
  std::array<char, 4096> buffer{};
  passwd entry{};
  passwd* found = nullptr;
  if (getpwuid_r(geteuid(), &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr) return found->pw_dir;
  return {};
}

Bytes machine_memory() {
  const long pages = sysconf(_SC_PHYS_PAGES);
  const long page = sysconf(_SC_PAGE_SIZE);
  return pages > 0 && page > 0 ? Bytes{static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page)} : Bytes{0};
}

// The tightest memory.max on the way from our control group (version 2) to the root; 0: none. Half of the machine's memory
// would be killed at once in a container or unit that was given less.
Bytes control_group_memory() {
  std::ifstream groups("/proc/self/cgroup");
  std::string line;
  Bytes least{0};
  while (std::getline(groups, line)) {
    if (!line.starts_with("0::/")) continue;
    for (fs::path group = line.substr(3);; group = group.parent_path()) {
      std::ifstream file(fs::path("/sys/fs/cgroup") / group.relative_path() / "memory.max");
      std::uint64_t limit = 0;
      if (file >> limit && limit > 0 && (least.value == 0 || limit < least.value)) least = Bytes{limit};
      if (!group.has_relative_path()) break;
    }
  }
  return least;
}

// A file that may be there but cannot be looked at counts: reading it tells the user, skipping it would not.
bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::status(path, ignored).type() != fs::file_type::not_found;
}

}  // namespace

Environment Environment::of_process() {
  Environment result;
  result.home = home_of_process();
  result.xdg_config_home = absolute_variable("XDG_CONFIG_HOME");
  result.xdg_state_home = absolute_variable("XDG_STATE_HOME");
  result.xdg_runtime_dir = absolute_variable("XDG_RUNTIME_DIR");
  result.state_directory = absolute_variable("STATE_DIRECTORY");
  result.runtime_directory = absolute_variable("RUNTIME_DIRECTORY");
  result.uid = geteuid();
  result.physical_memory = machine_memory();
  if (const Bytes limit = control_group_memory(); limit.value > 0) {
    result.physical_memory = result.physical_memory.value > 0 ? std::min(result.physical_memory, limit) : limit;
  }
  return result;
}

std::optional<fs::path> find_config_file(const Environment& environment) {
  fs::path user = environment.xdg_config_home;
  if (user.empty() && !environment.home.empty()) user = environment.home / ".config";
  if (!user.empty() && is_there(user / "retouchd/config.yaml")) return user / "retouchd/config.yaml";
  if (fs::path file = environment.system_config_dir / "config.yaml"; is_there(file)) return file;
  return std::nullopt;
}

fs::path default_state_dir(const Environment& environment) {
  if (!environment.state_directory.empty()) return environment.state_directory;
  if (!environment.xdg_state_home.empty()) return environment.xdg_state_home / "retouchd";
  if (!environment.home.empty()) return environment.home / ".local/state/retouchd";
  return "/var/lib/retouchd";
}

fs::path default_runtime_dir(const Environment& environment, const fs::path& state_dir) {
  if (!environment.runtime_directory.empty()) return environment.runtime_directory;
  if (!environment.xdg_runtime_dir.empty()) return environment.xdg_runtime_dir / "retouchd";
  return state_dir / "run";
}

Bytes default_memory(const Environment& environment) {
  return std::max(Bytes{environment.physical_memory.value / 2}, mebibytes(256));
}

}  // namespace retouchd::config
