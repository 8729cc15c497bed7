#pragma once

#include <filesystem>
#include <string>

#include "base/result.h"

namespace retouchd::cloud {

/// The name of this state directory among all that a node may ever see: 32 random hexadecimal digits, made on first use and kept
/// in <state_dir>/edge_id. It tells nothing about the machine. Errors: those of writing.
[[nodiscard]] Result<std::string> edge_id(const std::filesystem::path& state_dir);

}  // namespace retouchd::cloud
