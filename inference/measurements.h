#pragma once

#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "base/clock.h"
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

/// What a device could bear when it ran out of memory.
struct Bearable {
  double pixels = 0;  ///< of all tensors of the largest batch that is safe
  UnixMillis at{};    ///< when that was found
};

/// Runs `network`, which must be loaded, over windows of two sizes, one call alone: on a CPU, whose lone calls use all threads,
/// the most that a call takes. kDeviceFailed, kOutOfDeviceMemory.
[[nodiscard]] Result<CostModel> measure_cost(Device& device, const NetworkInfo& network);

/// What is known of this machine's devices, in a file: cost models, and what they could bear. Threads: safe.
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
  explicit Measurements(std::filesystem::path file, const Clock& clock = system_clock());

  [[nodiscard]] std::optional<CostModel> find(const Key& key) const;
  /// The error says that it will be measured again after the next start; the model is in memory nevertheless.
  [[nodiscard]] Result<void> put(const Key& key, const CostModel& model);

  /// Tensor pixels of the largest batch that is safe; nullopt: none was too large in the last 24 hours. What is older is
  /// forgotten, as the memory that was missing may have been somebody else's.
  [[nodiscard]] std::optional<double> bearable_pixels(const Key& key) const;
  /// Replaces what was known. The error is as put()'s.
  [[nodiscard]] Result<void> remember_bearable(const Key& key, double pixels);

 private:
  struct Entry {
    std::optional<CostModel> model;
    std::optional<Bearable> bearable;
  };

  [[nodiscard]] Result<void> write() const;

  const std::filesystem::path file_;
  const Clock& clock_;
  mutable std::mutex mutex_;
  std::map<std::string, Entry> entries_;
};

}  // namespace retouchd::inference
