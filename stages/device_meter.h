#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "stages/observer.h"

namespace retouchd::stages {

/// Accounts for every second of one device: computing, or starved for a cause. A device with several lanes counts each as its
/// share, so that a CPU with one of two cores idle is half busy.
///
/// Threads: safe; each slot is moved by its own thread.
class DeviceMeter {
 public:
  /// What one of the worker's threads is doing with its batch.
  enum class Phase { kWaiting, kCopying, kComputing, kHandingOver };

  struct Options {
    std::string device;
    std::size_t slots = 1;  ///< batches in flight
    std::size_t lanes = 1;  ///< that can compute at once
  };
  using Now = std::function<std::chrono::steady_clock::time_point()>;

  /// `why_idle` says why there is no batch, when all slots wait; it is called under the meter's lock.
  DeviceMeter(
      Options options, PipelineObserver& observer, std::function<StarvedCause()> why_idle,
      Now now = [] { return std::chrono::steady_clock::now(); });

  void enter(std::size_t slot, Phase phase);
  /// Reports what went by since the last report; call it several times a second while nothing changes.
  void report();

  /// What went by since the last report counts for nothing: the device was lost.
  void skip();

  /// No slot copies or computes: a batch would be computed at once.
  [[nodiscard]] bool is_idle() const noexcept { return in_flight() == 0; }
  [[nodiscard]] std::size_t in_flight() const noexcept { return in_flight_.load(); }  ///< slots that copy or compute

 private:
  [[nodiscard]] std::size_t count(Phase phase) const;
  void account();

  const Options options_;
  PipelineObserver& observer_;
  const std::function<StarvedCause()> why_idle_;
  const Now now_;
  mutable std::mutex mutex_;
  std::vector<Phase> phases_;
  std::chrono::steady_clock::time_point accounted_until_;
  std::atomic<std::size_t> in_flight_ = 0;  ///< may be asked under other locks
};

}  // namespace retouchd::stages
