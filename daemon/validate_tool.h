#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "config/config.h"

namespace retouchd::daemon {

struct ValidateOptions {
  std::optional<std::filesystem::path> weights;  ///< a file; nullopt: `network`
  std::string network;                           ///< of the model folders; empty: the configured one
  std::optional<std::filesystem::path> golden;
  bool json = false;
};

/// Compares a network's optimised path with the plain one and with golden tensors: `retouch validate`. Returns the exit code, 1
/// when a comparison failed.
[[nodiscard]] int validate_tool(const config::Config& config, const ValidateOptions& options);

}  // namespace retouchd::daemon
