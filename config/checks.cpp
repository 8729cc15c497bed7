#include "config/checks.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include <fmt/format.h>

#include "config/endpoint.h"

namespace retouchd::config {
namespace {

namespace fs = std::filesystem;

bool begins_with(const fs::path& path, const fs::path& folder) {
  return std::mismatch(folder.begin(), folder.end(), path.begin(), path.end()).first == folder.end();
}

fs::path resolved(const fs::path& path) {
  std::error_code error;
  fs::path result = fs::weakly_canonical(path, error);
  return error ? path : result;
}

// Whether `path` is `folder` or below it; false when one of them is unset.
bool is_within(const fs::path& path, const fs::path& folder) {
  if (path.empty() || folder.empty()) return false;
  return begins_with(path, folder) || begins_with(resolved(path), resolved(folder));
}

bool is_same(const fs::path& a, const fs::path& b) { return is_within(a, b) && is_within(b, a); }

class Finder {
 public:
  explicit Finder(const Config& config) : config_(config) {}

  std::vector<Problem> run() {
    for (std::size_t i = 0; i < config_.watch.size(); ++i) {
      check_alone(i);
      for (std::size_t j = 0; j < config_.watch.size(); ++j) {
        check_against_input(i, j);
        if (j < i) check_pair(i, j);
      }
    }
    check_folders();
    check_cascade();
    if (config_.zmq.enabled) check_sockets();
    return std::move(problems_);
  }

 private:
  void add(std::string key, std::string message) { problems_.push_back({std::move(key), std::nullopt, {}, std::move(message)}); }
  void add(std::size_t watch, std::string key, std::string message, std::string other_key = {}) {
    problems_.push_back({std::move(key), watch, std::move(other_key), std::move(message)});
  }

  void check_alone(std::size_t i) {
    const Watch& watch = config_.watch[i];
    const bool moves = watch.on_success == Watch::OnSuccess::kMove;
    if (moves && watch.move_to.empty()) {
      add(i, "on_success", "watch.on_success: `move` needs `move_to`, the folder that receives the originals", "move_to");
    }
    if (!moves && !watch.move_to.empty())
      add(i, "move_to", "watch.move_to: has no effect without `on_success: move`", "on_success");
    if (is_same(watch.move_to, watch.output)) {
      add(i, "move_to",
          fmt::format("watch.move_to: `{}` is also the output, so originals would meet their results", watch.move_to.string()));
    }
  }

  // Whether something of watch i would be taken as input by watch j (perhaps the same).
  void check_against_input(std::size_t i, std::size_t j) {
    const Watch& watch = config_.watch[i];
    const Watch& other = config_.watch[j];
    if (is_within(watch.output, other.path)) {
      add(i, "output",
          fmt::format(
              "watch.output: `{}` is inside the watched folder `{}`, so results would be restored again; choose a folder outside",
              watch.output.string(), other.path.string()));
    } else if (is_within(other.path, watch.output)) {
      add(j, "path",
          fmt::format(
              "watch.path: `{}` is inside the output folder `{}`, so results would be restored again; choose a folder outside",
              other.path.string(), watch.output.string()));
    }
    if (is_within(watch.move_to, other.path)) {
      add(i, "move_to",
          fmt::format("watch.move_to: `{}` is inside the watched folder `{}`, so originals would be restored again; choose a "
                      "folder outside",
                      watch.move_to.string(), other.path.string()));
    }
  }

  void check_pair(std::size_t i, std::size_t j) {
    const Watch& watch = config_.watch[i];
    const Watch& other = config_.watch[j];
    if (!watch.name.empty() && watch.name == other.name) {
      add(i, "name", fmt::format("watch.name: `{}` is the name of two watches; give each its own `name`", watch.name));
    }
    if (is_same(watch.path, other.path)) {
      add(i, "path", fmt::format("watch.path: `{}` is watched twice", watch.path.string()));
    } else if (other.recursive && is_within(watch.path, other.path)) {
      add(i, "path", inside_recursive(watch, other));
    } else if (watch.recursive && is_within(other.path, watch.path)) {
      add(j, "path", inside_recursive(other, watch));
    }
    if (is_same(watch.output, other.output)) {
      add(i, "output",
          fmt::format("watch.output: `{}` is the output of two watches, so pictures of the same name would replace each other; "
                      "choose another",
                      watch.output.string()));
    }
  }

  static std::string inside_recursive(const Watch& inner, const Watch& outer) {
    return fmt::format(
        "watch.path: `{}` is inside the watched folder `{}`, so its pictures would be taken twice; choose a folder outside or "
        "set `recursive: false` there",
        inner.path.string(), outer.path.string());
  }

  void check_folders() {
    for (const Watch& watch : config_.watch) {
      if (is_within(config_.state_dir, watch.path)) {
        add("state_dir",
            fmt::format(
                "state_dir: `{}` is inside the watched folder `{}`, so previews would be restored; choose a folder outside",
                config_.state_dir.string(), watch.path.string()));
      }
    }
    if (!config_.state_dir.is_absolute()) add("state_dir", "state_dir: an absolute path is needed");
    if (!config_.runtime_dir.is_absolute()) add("runtime_dir", "runtime_dir: an absolute path is needed");
  }

  void check_cascade() {
    const std::string& node = config_.cloud.node;
    if (node.starts_with("tcp://") && config_.cloud.server_key.empty()) {
      add("cloud.server_key",
          "cloud.server_key: a retouchd as cloud node needs its public key; `retouch keygen` printed it there");
    }
    const bool escalates = config_.cascade.policy == "hybrid" ||
                           std::any_of(config_.watch.begin(), config_.watch.end(),
                                       [](const Watch& watch) { return watch.policy == "hybrid"; });
    if (escalates && node.empty()) add("cascade.policy", "cascade.policy: `hybrid` needs a node to escalate to, `cloud.node`");
    if (!std::is_sorted(config_.cascade.levels.begin(), config_.cascade.levels.end())) {
      add("cascade.levels", "cascade.levels: megapixels rise from level to level");
    }
  }

  void check_sockets() {
    if (config_.zmq.requests == config_.zmq.events) add("zmq.events", "zmq.events: must differ from zmq.requests");
    check_socket("zmq.requests", config_.zmq.requests);
    check_socket("zmq.events", config_.zmq.events);
  }

  void check_socket(const char* key, const std::string& endpoint) {
    const auto path = socket_path(endpoint);
    if (!path || path->native().size() <= kLongestSocketPath) return;
    const bool below_runtime_dir = path->parent_path() == config_.runtime_dir;
    add(below_runtime_dir ? "runtime_dir" : key,
        fmt::format("{}: the socket's path `{}` has {} bytes, and Linux allows {}; set `{}` to a shorter path", key,
                    path->string(), path->native().size(), kLongestSocketPath, below_runtime_dir ? "runtime_dir" : key));
  }

  const Config& config_;
  std::vector<Problem> problems_;
};

}  // namespace

std::vector<Problem> find_problems(const Config& config) { return Finder(config).run(); }

}  // namespace retouchd::config
