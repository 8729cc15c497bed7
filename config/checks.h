#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "config/config.h"

namespace retouchd::config {

/// Something that no single value shows: two settings that contradict each other.
struct Problem {
  std::string key;                   ///< the setting to change: "zmq.requests", of a watch "output"
  std::optional<std::size_t> watch;  ///< index in Config::watch; nothing for the others
  std::string other_key;             ///< the setting of the same owner that it contradicts, if that is one
  std::string message;               ///< names the key and both sides
};

/// All contradictions in a complete configuration. Paths are compared as written and, where they exist, with symbolic links
/// resolved.
[[nodiscard]] std::vector<Problem> find_problems(const Config& config);

}  // namespace retouchd::config
