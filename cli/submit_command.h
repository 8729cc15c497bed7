#pragma once

#include "cli/arguments.h"
#include "cli/console.h"
#include "config/environment.h"

namespace retouchd::cli {

/// `retouch submit`: hands the pictures over, many at a time, and with --wait follows them to their end. Returns the exit code.
[[nodiscard]] int submit_command(const Arguments& arguments, Console& console, const config::Environment& environment);

}  // namespace retouchd::cli
