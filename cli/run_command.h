#pragma once

#include <string>
#include <vector>

#include "cli/console.h"
#include "config/environment.h"

namespace retouchd::cli {

/// `retouch` with the given words (without the program's name); returns its exit code. On the first SIGINT or SIGTERM it stops
/// waiting.
[[nodiscard]] int run_command(const std::vector<std::string>& words, Console& console, const config::Environment& environment);

}  // namespace retouchd::cli
