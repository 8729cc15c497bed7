#pragma once

#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/units.h"
#include "inference/device.h"
#include "inference/network_info.h"

namespace retouchd::inference {

/// What one forward pass over a window of some pixels takes: measured, a straight line through two sizes.
struct CostModel {
  double bytes_per_pixel = 0;
  double fixed_bytes = 0;
  double seconds_per_megapixel = 0;  ///< with all threads of the device
  double fixed_seconds = 0;

  [[nodiscard]] Bytes memory_for(double pixels) const noexcept;
  [[nodiscard]] double seconds_for(double pixels) const noexcept;
};

/// Runs `network`, which must be loaded, over windows of two sizes. kDeviceFailed.
[[nodiscard]] Result<CostModel> measure_cost(Device& device, const NetworkInfo& network);

/// The cost models of this machine, in a file. Threads: safe.
class Measurements {
 public:
  /// What a model holds for.
  struct Key {
    std::string device;   ///< Device::description()
    std::string network;  ///< NetworkInfo::id()
    Precision precision = Precision::kFp32;
    bool optimize = true;
  };

  /// A missing or unreadable file is an empty one: everything in it can be measured again.
  explicit Measurements(std::filesystem::path file);

  [[nodiscard]] std::optional<CostModel> find(const Key& key) const;
  /// The error says that it will be measured again after the next start; the model is in memory nevertheless.
  [[nodiscard]] Result<void> put(const Key& key, const CostModel& model);

 private:
  [[nodiscard]] Result<void> write() const;

  const std::filesystem::path file_;
  mutable std::mutex mutex_;
  std::map<std::string, CostModel> models_;
};

}  // namespace retouchd::inference
