#pragma once

#include <string>

#include "base/clock.h"

namespace retouchd::wire {

/// ISO 8601 in UTC with milliseconds: "2026-11-21T07:40:34.123Z".
[[nodiscard]] std::string to_iso8601(UnixMillis time);

}  // namespace retouchd::wire
