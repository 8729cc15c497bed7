#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "inference/measurements.h"
#include "queue/tile.h"
#include "stages/device_gate.h"
#include "stages/planner.h"

namespace retouchd::stages {

/// All devices of this process, each with its gate and whether it answers.
/// Threads: safe.
class DevicePool {
 public:
  struct Options {
    int batch = 0;  ///< tiles in one call; 0: each device's own choice
    bool optimize = true;
    bool deterministic = false;  ///< batches always have their full size
  };

  /// One device.
  struct Member {
    Member(std::unique_ptr<inference::Device> owned, inference::Measurements& measurements, const Options& options);

    /// Tiles of that bin for one call, as far as memory allows.
    [[nodiscard]] std::size_t most(const queue::Bin& bin) const;

    std::unique_ptr<inference::Device> device;
    DeviceGate gate;
    const std::size_t batch;         ///< tiles in one call
    std::atomic<bool> is_up = true;  ///< kept by its worker
  };

  /// `devices`: at least one.
  DevicePool(std::vector<std::unique_ptr<inference::Device>> devices, inference::Measurements& measurements,
             const Options& options);

  /// DeviceGate::prepare() on all devices that answer; of those that do not, what they knew before. What it costs where it costs
  /// most; an error when no device can.
  [[nodiscard]] Result<inference::CostModel> prepare(const inference::NetworkInfo& network);

  /// What a picture is planned with, apart from the settings and the memory of this process: the tightest device decides, because
  /// any of them may get any tile.
  [[nodiscard]] PlanFacts facts(const inference::NetworkInfo& network) const;

  /// Memory that tensors of a picture can have, on the device with the least; nullopt where that is the process's own (CPU).
  [[nodiscard]] std::optional<Bytes> memory() const;
  /// Devices whose tensors live in this process's memory, counted together: what they need at once for tiles of `pixels`.
  [[nodiscard]] Bytes host_memory(const inference::NetworkInfo& network, cv::Size tile, const inference::CostModel& cost) const;

  [[nodiscard]] const std::vector<std::unique_ptr<Member>>& members() const noexcept { return members_; }
  /// Tiles that all devices together take at once, computing and copying.
  [[nodiscard]] std::size_t tiles_at_once() const noexcept;
  [[nodiscard]] bool is_deterministic() const noexcept { return options_.deterministic; }
  [[nodiscard]] bool any_up() const noexcept;
  /// DeviceGate::states() of all devices; an error of one hides that others can.
  [[nodiscard]] std::map<std::string, std::string> states() const;
  /// Precisions, paths and library that a network is computed with here.
  [[nodiscard]] std::string computed_as(const inference::NetworkInfo& network) const;
  [[nodiscard]] std::string description() const;  ///< "CPU, 2 threads"; several: "2 devices: ..., ..."

 private:
  const Options options_;
  std::vector<std::unique_ptr<Member>> members_;
};

}  // namespace retouchd::stages
