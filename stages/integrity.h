#pragma once

#include <optional>

#include "inference/device.h"
#include "inference/network_info.h"
#include "stages/observer.h"

namespace retouchd::stages {

/// What cannot be right about a restored window: numbers that are none, numbers far outside of [0, 1] (of floats: and of what
/// the window spans), or one flat colour where the picture has something to show. nullopt for a sound one.
[[nodiscard]] std::optional<RerunReason> what_is_wrong(const inference::NetworkInfo& network, const inference::Window& window,
                                                       const inference::Restored& restored);

}  // namespace retouchd::stages
