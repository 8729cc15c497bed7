#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "inference/network_info.h"

namespace retouchd::inference {

/// Every network that can be asked for: one per *.safetensors file of the model folders whose metadata names a known
/// architecture. Immutable after scan(); share it freely between threads.
class Registry {
 public:
  /// Reads the headers of all weight files. The first folder that holds a name wins. Files that are no weights of ours are
  /// skipped with a warning in the log; an empty result is an error only when a job asks for a network.
  [[nodiscard]] static Registry scan(const std::vector<std::filesystem::path>& folders);

  [[nodiscard]] const std::vector<NetworkInfo>& networks() const noexcept { return networks_; }

  /// kUnknownNetwork naming what is there, and where was looked.
  [[nodiscard]] Result<NetworkInfo> find(std::string_view name) const;

 private:
  std::vector<NetworkInfo> networks_;
  std::vector<std::filesystem::path> folders_;
};

}  // namespace retouchd::inference
