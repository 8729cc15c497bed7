#pragma once

#include "cli/arguments.h"
#include "cli/console.h"

namespace retouchd::cli {

/// `retouch convert`: weights of any format to safetensors. Needs no daemon. Returns the exit code.
[[nodiscard]] int convert_command(const Arguments& arguments, Console& console);

}  // namespace retouchd::cli
