#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace retouchd::cli {

/// Of a terminal.
struct Extent {
  std::size_t columns = 80;
  std::size_t rows = 0;  ///< 0: as many as it takes

  friend bool operator==(const Extent&, const Extent&) = default;
};

/// The answer of the operation `stats` (docs/protocol.md) as the lines of `retouch top`, without line ends: daemon, jobs, memory
/// and queues, then devices, clients and running jobs. Made for 80 x 24 and more; what does not fit is counted instead ("... and
/// 3 more"). Fields that are missing show as nothing or 0.
[[nodiscard]] std::vector<std::string> top_lines(const nlohmann::json& stats, const Extent& extent);

}  // namespace retouchd::cli
