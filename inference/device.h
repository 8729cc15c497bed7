#pragma once

#include <chrono>
#include <memory>
#include <opencv2/core/mat.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "inference/network_info.h"
#include "inference/precision_choice.h"

namespace retouchd::inference {

/// What a network sees of a picture.
struct Window {
  cv::Mat colour;     ///< CV_8U or CV_16U with 1 or 3 channels (RGB)
  cv::Mat companion;  ///< of the same size, where the network wants one: CV_16UC1 millimetres of depth, or the other view
};

/// What one call of restore() took, its results included.
struct Footprint {
  Bytes peak;  ///< tensors at the worst moment, without the weights
  std::chrono::duration<double> time{0};
};

/// Something that runs networks over batches of tiles: a CPU, a GPU.
/// Threads: one caller at a time (the device's worker); name(), description(), default_batch(), lanes() and
/// precision_for() from any thread.
class Device {
 public:
  virtual ~Device() = default;

  [[nodiscard]] virtual std::string name() const = 0;         ///< "cpu", "cuda:0": a label for metrics
  [[nodiscard]] virtual std::string description() const = 0;  ///< for people: "CPU, 2 threads"
  [[nodiscard]] virtual int default_batch() const = 0;        ///< tiles of 512x512 that suit one call

  /// Windows of a batch that are computed at the same time, each in a forward pass of its own; 1: all in one pass.
  [[nodiscard]] virtual int lanes() const = 0;

  /// Loads weights (again a no-op), chooses the precision, and compares a small picture with the plain fp32 path. A second
  /// version of a network leaves the first one loaded, a third one drops it. kBadWeights names file, tensor and reason;
  /// kDeviceFailed when that precision's result is too far from fp32.
  [[nodiscard]] virtual Result<void> load(const NetworkInfo& network) = 0;

  /// How it computes a network, loaded or not. From any thread.
  [[nodiscard]] virtual PrecisionChoice precision_for(const NetworkInfo& network) const = 0;

  /// Restores one batch. Windows are at most as large as `tensor`; smaller ones are padded at the right and bottom by reflection.
  /// All tensors have the shape [windows, tensor.height, tensor.width, channels] with colours in [0, 1].
  /// Returns for each window its restoration: CV_32F, the colour's channels, window size times the network's scale, in [0, 1] but
  /// not clamped; for a depth network one channel of millimetres / 65535. The network must have been loaded. kDeviceFailed on any
  /// error of the library below.
  [[nodiscard]] virtual Result<std::vector<cv::Mat>> restore(const NetworkInfo& network, cv::Size tensor,
                                                             std::span<const Window> windows) = 0;

  /// Runs a batch of noise and says what it took.
  [[nodiscard]] virtual Result<Footprint> measure(const NetworkInfo& network, cv::Size tensor, int batch) = 0;

  /// Memory that tensors can have at most; nullopt where that is the process's own budget (CPU).
  [[nodiscard]] virtual std::optional<Bytes> memory() const = 0;
};

enum class DeviceKind { kAuto, kCpu, kCuda, kMps };

struct DeviceOptions {
  DeviceKind kind = DeviceKind::kAuto;                ///< kAuto: CUDA when it answers, then MPS, else the CPU
  int threads = 0;                                    ///< of the CPU device; 0: one per core this process may use
  std::optional<Precision> precision = std::nullopt;  ///< nullopt: what suits device and network
  bool optimize = true;                               ///< false: the plain path in fp32
};

/// Opens the device. kDeviceFailed when one is demanded that is not there.
[[nodiscard]] Result<std::unique_ptr<Device>> open_device(const DeviceOptions& options);

/// "2.11.0"
[[nodiscard]] std::string libtorch_version();

}  // namespace retouchd::inference
