#pragma once

#include "cli/arguments.h"
#include "cli/connection.h"
#include "cli/console.h"

namespace retouchd::cli {

/// The commands that ask and print: status, list, cancel, retry, events, models, ping. Returns the exit code.
[[nodiscard]] int job_command(const Arguments& arguments, Connection& connection, Console& console);

}  // namespace retouchd::cli
