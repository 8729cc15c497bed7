#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "config/config.h"

namespace retouchd::daemon {

struct RunOnceOptions {
  std::vector<std::filesystem::path> files;
  std::string output;   ///< a file, or a folder (existing, or ending in '/'); required for more than one file
  std::string network;  ///< empty: the configured one
  bool overwrite = false;
  bool json = false;  ///< one JSON object per picture on standard output
};

/// The whole pipeline in one process, without a daemon: the same stages, a job store in a temporary folder. Does not wait for
/// better times as the daemon does: a full disk fails the picture. Returns the exit code (docs/cli.md).
[[nodiscard]] int run_once(config::Config config, const RunOnceOptions& options);

}  // namespace retouchd::daemon
