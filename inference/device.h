#pragma once

#include <memory>
#include <opencv2/core/mat.hpp>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "inference/network_info.h"

namespace retouchd::inference {

/// Something that runs networks over batches of tiles: a CPU, a GPU.
/// Threads: one caller at a time (the device's worker); name(), description() and default_batch() from any thread.
class Device {
 public:
  virtual ~Device() = default;

  [[nodiscard]] virtual std::string name() const = 0;         ///< "cpu", "cuda:0": a label for metrics
  [[nodiscard]] virtual std::string description() const = 0;  ///< for people: "CPU, 2 threads"
  [[nodiscard]] virtual int default_batch() const = 0;        ///< tiles of 512x512 that suit one call

  /// Loads weights (again a no-op). kBadWeights names file, tensor and reason.
  [[nodiscard]] virtual Result<void> load(const NetworkInfo& network) = 0;

  /// Restores one batch. Every window is CV_8U or CV_16U with 1 or 3 channels (RGB), at most `side` x `side`; smaller ones are
  /// padded at the right and bottom by reflection. All tensors have the shape [windows, 3, side, side] in [0, 1].
  /// Returns for each window its restoration: CV_32F, same channels, window size times the network's scale, in [0, 1] but not
  /// clamped. The network must have been loaded. kDeviceFailed on any error of the library below.
  [[nodiscard]] virtual Result<std::vector<cv::Mat>> restore(const NetworkInfo& network, int side,
                                                             std::span<const cv::Mat> windows) = 0;
};

enum class DeviceKind { kAuto, kCpu, kCuda };

struct DeviceOptions {
  DeviceKind kind = DeviceKind::kAuto;  ///< kAuto: CUDA when it answers, else the CPU
  int threads = 0;                      ///< of the CPU device; 0: one per core this process may use
};

/// Opens the device. kDeviceFailed when CUDA is demanded and not there.
[[nodiscard]] Result<std::unique_ptr<Device>> open_device(const DeviceOptions& options);

/// "2.11.0"
[[nodiscard]] std::string libtorch_version();

}  // namespace retouchd::inference
