#pragma once

#include <string_view>

#include "base/result.h"
#include "stages/picture_run.h"

namespace retouchd::stages {

/// Decides where a picture gets its full pass. This machine is the only place so far, so the policy is `local`.
/// Threads: process() from several at once for different runs.
class Route {
 public:
  static constexpr std::string_view kName = "route";

  [[nodiscard]] Result<void> process(const RunPtr& run);
};

}  // namespace retouchd::stages
