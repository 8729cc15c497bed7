#pragma once

#include "cli/arguments.h"
#include "cli/console.h"
#include "config/environment.h"

namespace retouchd::cli {

/// `retouch keygen`: makes a pair of CURVE keys, for this machine's daemon as a client of a node or (--node) as the node. Needs
/// no daemon. The exit code.
[[nodiscard]] int keygen_command(const Arguments& arguments, Console& console, const config::Environment& environment);

}  // namespace retouchd::cli
