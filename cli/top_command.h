#pragma once

#include "cli/arguments.h"
#include "cli/connection.h"
#include "cli/console.h"

namespace retouchd::cli {

/// `retouch top`: shows how busy the daemon is, on a terminal until interrupted; elsewhere, and with --once, one time. With
/// --json one object per interval. Returns the exit code.
[[nodiscard]] int top_command(const Arguments& arguments, Connection& connection, Console& console);

}  // namespace retouchd::cli
