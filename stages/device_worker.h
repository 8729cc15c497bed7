#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>

#include "queue/bounded_queue.h"
#include "queue/tile_scheduler.h"
#include "stages/device_gate.h"
#include "stages/infer.h"
#include "stages/observer.h"

namespace retouchd::stages {

/// The thread of one device: pulls the next batch the moment the device is free, accounts for the time without one.
/// Threads: run() has one thread of its own; the rest may be asked from any.
class DeviceWorker {
 public:
  struct Options {
    std::size_t batch = 4;                  ///< tiles
    std::chrono::milliseconds max_wait{5};  ///< for a fuller batch, when nothing else is to be done
  };

  /// `why_idle` says what the device is waiting for at this moment.
  DeviceWorker(DeviceGate& gate, Options options, queue::TileScheduler& scheduler, queue::BoundedQueue<RestoredTile>& merge,
               PipelineObserver& observer, std::function<StarvedCause()> why_idle);

  /// Until the scheduler is closed and empty.
  void run();

  /// False after a batch failed, until one succeeds.
  [[nodiscard]] bool is_up() const noexcept { return up_.load(); }
  /// The last moment at which the device finished a batch well, or had nothing to do.
  [[nodiscard]] std::chrono::steady_clock::time_point last_alive() const noexcept { return last_alive_.load(); }
  [[nodiscard]] const inference::Device& device() const noexcept { return gate_.device(); }

 private:
  void wait_for_work();
  void note_alive() noexcept { last_alive_.store(std::chrono::steady_clock::now()); }

  DeviceGate& gate_;
  const Options options_;
  queue::TileScheduler& scheduler_;
  queue::BoundedQueue<RestoredTile>& merge_;
  PipelineObserver& observer_;
  const std::function<StarvedCause()> why_idle_;
  std::atomic<bool> up_ = true;
  std::atomic<std::chrono::steady_clock::time_point> last_alive_;
};

}  // namespace retouchd::stages
