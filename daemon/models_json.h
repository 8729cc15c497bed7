#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "daemon/engine.h"

namespace retouchd::daemon {

/// Every weight file of the model folders, `chosen` being the default network (docs/protocol.md, "models").
[[nodiscard]] nlohmann::json models_json(const Engine& engine, const std::string& chosen);

/// What intake cannot know by itself: the second picture that goes with `picture`, where `network` restores pairs; else empty.
[[nodiscard]] std::filesystem::path companion_of(const inference::Registry& networks, const std::string& network,
                                                 const std::filesystem::path& picture);

}  // namespace retouchd::daemon
