#pragma once

#include "cli/arguments.h"
#include "cli/connection.h"
#include "cli/console.h"

namespace retouchd::cli {

/// `retouch watch`: shows events, of all jobs until interrupted, or of the given ones until they have ended. Returns the exit
/// code.
[[nodiscard]] int watch_command(const Arguments& arguments, Connection& connection, Console& console);

}  // namespace retouchd::cli
