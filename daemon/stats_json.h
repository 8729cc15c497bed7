#pragma once

#include <nlohmann/json.hpp>

#include "daemon/status_source.h"

namespace retouchd::daemon {

/// The answer to the operation `stats`: docs/protocol.md lists the fields and their units. Of the clients those of
/// clients_to_tell().
[[nodiscard]] nlohmann::json stats_json(const Snapshot& snapshot);

}  // namespace retouchd::daemon
