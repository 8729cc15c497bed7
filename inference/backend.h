#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace retouchd::inference {

/// Who computes a network. All give the same picture within the precision's tolerance; what fits a device is found by trying.
enum class Backend {
  kAuto,       ///< kOptimized, or kCompiled where a package was measured to be faster
  kOptimized,  ///< the lean forward pass in LibTorch's operations
  kCompiled,   ///< a package that `retouch compile` made for this device, precision and tile shape
  kFused,      ///< CUDA kernels of our own; never chosen by kAuto, as nobody has measured them yet
};

/// "auto", "optimized", "compiled", "fused"
[[nodiscard]] std::string_view name_of(Backend backend) noexcept;
[[nodiscard]] std::optional<Backend> backend_named(std::string_view name) noexcept;

/// What became of one network on one device.
struct BackendChoice {
  Backend backend = Backend::kOptimized;  ///< kCompiled: for at least one shape
  std::string name = "optimized";         ///< "optimized", "compiled", "compiled (tensorrt)", "fused"
  double memory = 1;                      ///< tensors of one call over those of the optimized one, at least 1
  std::string reason;                     ///< one clause: why, with figures where something was measured
  std::vector<std::string> warnings;      ///< packages that were skipped, a backend that was asked for and is not there
};

}  // namespace retouchd::inference
