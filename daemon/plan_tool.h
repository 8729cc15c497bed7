#pragma once

#include <optional>
#include <string>

#include "base/units.h"
#include "config/config.h"

namespace retouchd::daemon {

struct PlanOptions {
  std::string picture;          ///< a file, or "3296x2192"
  std::string network;          ///< empty: the configured one
  std::optional<Bytes> memory;  ///< instead of the configured budget, as if the machine had that much
  bool json = false;
};

/// Says how a picture would be restored, and why, without restoring anything: `retouch plan`. Returns the exit code.
[[nodiscard]] int plan_tool(config::Config config, const PlanOptions& options);

}  // namespace retouchd::daemon
