#pragma once

#include <string>
#include <vector>

#include "daemon/status_source.h"

namespace retouchd::daemon {

/// A page of plain HTML that shows `snapshot` and reloads itself every five seconds. Names are escaped.
[[nodiscard]] std::string status_page(const Snapshot& snapshot, const std::vector<std::string>& not_ready_reasons);

}  // namespace retouchd::daemon
