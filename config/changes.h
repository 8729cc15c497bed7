#pragma once

#include <string>
#include <vector>

#include "config/config.h"

namespace retouchd::config {

/// The keys that differ and cannot be changed by a reload, such as "tile.size", in the order of the tables.
[[nodiscard]] std::vector<std::string> needs_restart(const Config& old, const Config& now);

/// All keys that differ; a change in any watch is "watch".
[[nodiscard]] std::vector<std::string> changed_keys(const Config& old, const Config& now);

}  // namespace retouchd::config
