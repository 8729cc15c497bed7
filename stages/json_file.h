#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/result.h"

namespace retouchd::stages {

/// The JSON object in a small file of settings. kInputMissing; kBadConfig with the reason alone for everything else.
[[nodiscard]] Result<nlohmann::json> read_json_object(const std::filesystem::path& file);

}  // namespace retouchd::stages
