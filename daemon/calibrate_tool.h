#pragma once

#include <filesystem>
#include <optional>

#include "config/config.h"

namespace retouchd::daemon {

struct CalibrateOptions {
  std::filesystem::path folder;
  std::optional<double> rate;                   ///< nullopt: cascade.rate
  std::optional<std::filesystem::path> output;  ///< nullopt: cascade.calibration
  bool json = false;
};

/// Fits the score of the cascade to the pictures below a folder: `retouch calibrate`. Returns the exit code.
[[nodiscard]] int calibrate_tool(const config::Config& config, const CalibrateOptions& options);

}  // namespace retouchd::daemon
