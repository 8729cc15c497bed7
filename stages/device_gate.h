#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <opencv2/core/mat.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "inference/device.h"
#include "inference/measurements.h"

namespace retouchd::stages {

/// The way to a device: prepares networks before their first picture, and keeps batches out meanwhile. In the order of asking, so
/// that workers, which ask again at once, do not keep others out for ever.
/// Threads: safe; at most Device::concurrency() of them restore.
class DeviceGate {
 public:
  /// Both must outlive the gate; nobody else uses the device.
  DeviceGate(inference::Device& device, inference::Measurements& measurements, bool optimize)
      : device_(device), measurements_(measurements), optimize_(optimize) {}

  /// Loads and checks a network and finds out what it takes; at once when that was done before. Waits for running batches.
  /// kBadWeights, kDeviceFailed.
  [[nodiscard]] Result<inference::CostModel> prepare(const inference::NetworkInfo& network);

  /// What prepare() found out, if it did already; asks nothing of the device.
  [[nodiscard]] std::optional<inference::CostModel> known(const inference::NetworkInfo& network) const;

  /// inference::Device::restore(), with the network loaded.
  [[nodiscard]] Result<std::vector<inference::Restored>> restore(const inference::NetworkInfo& network, cv::Size tensor,
                                                                 std::span<const inference::Window> windows,
                                                                 const inference::RestoreOptions& options = {});

  /// Whether the device computes anything at all: a small window of noise. kDeviceFailed.
  [[nodiscard]] Result<void> probe(const inference::NetworkInfo& network);

  /// Device::give_back_memory(), between batches.
  void give_back_memory();

  /// Tensor pixels of the largest batch of the network (by NetworkInfo::id()) that fits, where a larger one did not; remembered
  /// for a day.
  [[nodiscard]] std::optional<double> bearable_pixels(const std::string& network) const;
  void learn_bearable(const inference::NetworkInfo& network, double pixels);

  [[nodiscard]] const inference::Device& device() const noexcept { return device_; }
  /// What load() said last about each network that was prepared: nothing, or its error. By NetworkInfo::id().
  [[nodiscard]] std::map<std::string, std::string> states() const;
  /// Callers that stand in line.
  [[nodiscard]] std::uint64_t waiting() const;

 private:
  /// First come, first served; batches go in together, anything else alone.
  class Turn {
   public:
    enum class Kind { kShared, kAlone };
    Turn(DeviceGate& gate, Kind kind);
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    ~Turn();

   private:
    DeviceGate& gate_;
  };

  [[nodiscard]] inference::Measurements::Key key_of(const inference::NetworkInfo& network) const;
  [[nodiscard]] Result<inference::CostModel> load_and_measure(const inference::NetworkInfo& network);
  [[nodiscard]] bool is_loaded(const inference::NetworkInfo& network) const;
  [[nodiscard]] Result<void> load(const inference::NetworkInfo& network);

  inference::Device& device_;
  inference::Measurements& measurements_;
  const bool optimize_;

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable called_;
  std::uint64_t next_ticket_ = 0;
  std::uint64_t now_serving_ = 0;
  int inside_ = 0;
  bool alone_ = false;  ///< the one inside wants nobody beside it
  std::map<std::string, inference::CostModel> costs_;
  std::map<std::string, inference::Measurements::Key> keys_;
  std::map<std::string, std::string> loaded_;  ///< the version of each name that was asked for last
  std::map<std::string, std::string> states_;
};

}  // namespace retouchd::stages
