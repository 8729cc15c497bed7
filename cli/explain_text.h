#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace retouchd::cli {

/// Why a job (a job object of the protocol) was or will be restored where it is, in a few lines.
[[nodiscard]] std::string explanation(const nlohmann::json& job);

}  // namespace retouchd::cli
