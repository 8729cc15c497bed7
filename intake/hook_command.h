#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace retouchd::intake {

/// A command of the shell.
struct HookCommand {
  std::string text;                      ///< for `/bin/sh -c`
  std::vector<std::string> environment;  ///< all of it, as "NAME=value"
  std::chrono::milliseconds timeout{60'000};
};

/// How it went.
struct HookEnd {
  enum class How { kOk, kFailed, kTimeout, kStopped };

  static constexpr std::size_t kMostOutput = 4096;

  How how = How::kFailed;
  std::string reason;  ///< unless kOk: "exit status 3", "signal 11", "killed after 60000 ms"
  std::string output;  ///< the last kMostOutput bytes of what it wrote to stdout and stderr
};

/// Runs a command to its end, in a process group of its own, with nothing on stdin and no other file open. When it ends, is not
/// done in time, or `stop_fd` becomes readable, all of its group is killed: nothing that it started stays behind, but what left
/// the group. Threads: safe. Blocks.
[[nodiscard]] HookEnd run_hook(const HookCommand& command, int stop_fd);

}  // namespace retouchd::intake
