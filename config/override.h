#pragma once

#include <string>

#include "base/result.h"
#include "config/config.h"
#include "config/environment.h"

namespace retouchd::config {

/// Sets one key ("tile.size") of a configuration that was read already, as the command line can. kBadConfig names the key, what
/// it may be, and for an unknown key the nearest known one.
[[nodiscard]] Result<void> override_key(Config& config, const std::string& key, const std::string& value,
                                        const Environment& environment);

}  // namespace retouchd::config
