#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <opencv2/core/mat.hpp>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "inference/device.h"
#include "inference/measurements.h"

namespace retouchd::stages {

/// The way to a device: lets one in at a time, in the order of asking, and prepares networks before their first picture.
/// Threads: safe.
class DeviceGate {
 public:
  /// Both must outlive the gate; nobody else uses the device.
  DeviceGate(inference::Device& device, inference::Measurements& measurements, bool optimize)
      : device_(device), measurements_(measurements), optimize_(optimize) {}

  /// Loads and checks a network and finds out what it takes; at once when that was done before. Waits for a running batch.
  /// kBadWeights, kDeviceFailed.
  [[nodiscard]] Result<inference::CostModel> prepare(const inference::NetworkInfo& network);

  /// inference::Device::restore(), with the network loaded.
  [[nodiscard]] Result<std::vector<cv::Mat>> restore(const inference::NetworkInfo& network, cv::Size tensor,
                                                     std::span<const inference::Window> windows);

  [[nodiscard]] const inference::Device& device() const noexcept { return device_; }
  /// What load() said last about each network that was prepared: nothing, or its error. By NetworkInfo::id().
  [[nodiscard]] std::map<std::string, std::string> states() const;
  /// Callers that stand in line behind the one that is in.
  [[nodiscard]] std::uint64_t waiting() const;

 private:
  /// First come, first served: a std::mutex would let the device's worker, which asks again at once, in for ever.
  class Turn {
   public:
    explicit Turn(DeviceGate& gate);
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    ~Turn();

   private:
    DeviceGate& gate_;
  };

  inference::Device& device_;
  inference::Measurements& measurements_;
  const bool optimize_;

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable called_;
  std::uint64_t next_ticket_ = 0;
  std::uint64_t now_serving_ = 0;
  std::map<std::string, inference::CostModel> ready_;
  std::map<std::string, std::string> states_;
};

}  // namespace retouchd::stages
