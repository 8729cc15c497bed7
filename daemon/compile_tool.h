#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "config/config.h"

namespace retouchd::daemon {

struct CompileOptions {
  std::string network;             ///< of the model folders; empty: the configured one
  std::vector<std::string> tiles;  ///< "528x496"; empty: the square of tile.size
  int batch = 0;                   ///< 0: the device's
  std::filesystem::path python;    ///< empty: python3
  std::string compiler = "inductor";
  bool autotune = false;
  bool list = false;    ///< instead: shows what there is
  bool remove = false;  ///< instead: removes what can never be used again
  bool json = false;
};

/// Has PyTorch compile a network for the device at hand, checks and measures the result: `retouch compile`. Returns the exit
/// code.
[[nodiscard]] int compile_tool(const config::Config& config, const CompileOptions& options);

}  // namespace retouchd::daemon
