#pragma once

#include "base/error.h"

namespace retouchd::daemon {

/// Tells the user of `retouch` on standard error why one of its tools cannot go on; returns the exit code.
[[nodiscard]] int refuse(const Error& error);

}  // namespace retouchd::daemon
