#pragma once

#include <chrono>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "inference/compute_turn.h"
#include "inference/device.h"
#include "inference/simulation.h"

namespace retouchd::inference {

/// A device that does no arithmetic and only keeps time, for benchmarks of what is around a device, for tests, and to rehearse
/// alarms. A restored window is the window itself, in the wanted depth, enlarged by repeating pixels where the network's scale
/// asks for it. Of its Values only every 16th row is looked at.
///
/// It behaves as a GPU: two calls at once, one computes while the other one copies (Simulation says how long). A batch
/// begins when the one before it was to end, so what a thread oversleeps (some microseconds) does not add up while calls wait in
/// line, urgent calls first. Copying the pixels counts as part of the upload. Waiting sleeps until shortly before the moment and
/// spins the last 20 us.
class SimulatedDevice final : public Device {
 public:
  SimulatedDevice(std::string name, Simulation simulation, const DeviceOptions& options);

  [[nodiscard]] std::string name() const override { return name_; }
  [[nodiscard]] std::string description() const override;
  [[nodiscard]] int default_batch() const override { return 16; }
  [[nodiscard]] int concurrency() const override { return 2; }
  [[nodiscard]] int compute_lanes() const override { return 1; }
  [[nodiscard]] bool computes_together() const override { return true; }
  /// Only looks whether the file is there, where the network has one.
  [[nodiscard]] Result<void> load(const NetworkInfo& network) override;
  [[nodiscard]] PrecisionChoice precision_for(const NetworkInfo& network) const override;
  /// RestoreOptions::plain takes the same time and has no faults; such calls are not counted.
  [[nodiscard]] Result<std::vector<Restored>> restore(const NetworkInfo& network, cv::Size tensor,
                                                      std::span<const Window> windows,
                                                      const RestoreOptions& options = {}) override;
  /// At once. Counts as a call only while the device is lost, so that asking again and again finds it in the end.
  [[nodiscard]] Result<Footprint> measure(const NetworkInfo& network, cv::Size tensor, int batch) override;
  [[nodiscard]] std::optional<Bytes> memory() const override { return simulation_.memory; }
  void give_back_memory() override;

 private:
  using Time = std::chrono::steady_clock::time_point;
  using Tiles = std::vector<std::optional<Fault::Kind>>;
  [[nodiscard]] bool befalls(const Fault& fault, std::uint64_t number) const;
  /// Counts a call and its tiles. An error, or what is wrong with each tile.
  [[nodiscard]] Result<Tiles> next_faults(std::size_t windows);
  [[nodiscard]] Result<void> fits(cv::Size tensor, std::size_t windows) const;
  [[nodiscard]] Error failed(ErrorCode code, std::size_t windows, const std::string& reason) const;
  /// Waits for its turn and computes; when that ended.
  Time compute(Time uploaded, cv::Size tensor, std::size_t windows, const RestoreOptions& options);

  const std::string name_;
  const Simulation simulation_;
  const std::optional<Precision> wanted_;
  const bool optimize_;
  ComputeTurn computing_;
  std::mutex mutex_;  // guards all below
  std::set<std::string> loaded_;
  std::uint64_t calls_ = 0;
  std::uint64_t tiles_ = 0;
  Time busy_until_{};
};

}  // namespace retouchd::inference
