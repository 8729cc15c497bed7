#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace retouchd {

/// A process to be started. Signals are as in a fresh process, its process group is its own, and it has no descriptors but these.
struct SpawnedCommand {
  std::string program;                   ///< a path
  std::vector<std::string> arguments;    ///< the first is the program's name
  std::vector<std::string> environment;  ///< "NAME=value", all there are
  int output = -1;                       ///< becomes 1 and 2; -1: /dev/null, which 0 is in any case
  std::vector<int> descriptors;          ///< become 3, 4, ...; each greater than all of those numbers
};

/// Starts it by posix_spawn, since a fork() of a process with many threads and much memory is neither safe nor cheap. An errno
/// value, 0 on success. Threads: safe.
[[nodiscard]] int spawn(const SpawnedCommand& command, pid_t& child);

}  // namespace retouchd
