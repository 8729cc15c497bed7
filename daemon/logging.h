#pragma once

#include "config/config.h"

namespace retouchd::daemon {

/// The default logger writes to standard error: with time stamps, or with the levels systemd's journal understands when it reads
/// us.
void set_up_logging();
void apply_log_level(const config::Log& log);

}  // namespace retouchd::daemon
