#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "queue/bounded_queue.h"
#include "queue/tile_scheduler.h"
#include "stages/device_meter.h"
#include "stages/device_pool.h"
#include "stages/infer.h"
#include "stages/observer.h"

namespace retouchd::stages {

/// Keeps one device busy: each of its slots pulls the next batch the moment it can take one, so that batches are copied while
/// another one is computed; where batches wait for each other, one more slot is for previews, which go before the one that waits.
/// A device that does not answer is taken out, its tiles go back to the scheduler for the others, and it
/// is put in again when it answers.
///
/// Threads: run(slot) has a thread of its own for each slot below slots(); the rest may be asked from any.
class DeviceWorker {
 public:
  struct Options {
    std::chrono::milliseconds max_wait{5};  ///< for a fuller batch, when nothing else is to be done
    bool has_static_batches = false;
    std::chrono::milliseconds first_probe{250};  ///< a lost device is asked again after this long, then twice as long, ...
    std::chrono::milliseconds longest_probe{10'000};
    std::chrono::seconds hopeless{90};   ///< when no device answered for so long, jobs are told
    std::chrono::seconds give_back{30};  ///< idle for so long: memory is given back
  };
  struct Hooks {
    std::function<StarvedCause()> why_idle;  ///< while no tile is ready
    std::function<void()> pulled;            ///< after each batch that was taken out of the scheduler
  };

  DeviceWorker(DevicePool& pool, DevicePool::Member& member, const Options& options, queue::TileScheduler& scheduler,
               queue::BoundedQueue<RestoredTile>& merge, PipelineObserver& observer, Hooks hooks);

  /// Until the scheduler is closed and empty.
  void run(std::size_t slot);
  /// Ends the waiting for a lost device; the scheduler was closed.
  void stop();

  [[nodiscard]] std::size_t slots() const noexcept { return slots_; }
  [[nodiscard]] const DevicePool::Member& member() const noexcept { return member_; }
  [[nodiscard]] std::size_t in_flight() const noexcept { return meter_.in_flight(); }

 private:
  [[nodiscard]] queue::PullRequest request(bool only_previews = false);
  /// False: the pipeline is closed.
  [[nodiscard]] bool deliver(std::size_t slot, Infer::Outcome outcome);
  void lose(const std::string& error, const inference::NetworkInfo& network);
  /// Slot 0 asks until the device answers; the others wait for it.
  void wait_until_up(std::size_t slot);
  /// One question to the lost device.
  void probe();
  /// No device answers and none is expected to: jobs end with an error instead of waiting for ever.
  void fail_waiting_tiles();
  /// Nothing to do for a while.
  void rest(std::size_t slot);

  DevicePool& pool_;
  DevicePool::Member& member_;
  const Options options_;
  queue::TileScheduler& scheduler_;
  queue::BoundedQueue<RestoredTile>& merge_;
  PipelineObserver& observer_;
  const Hooks hooks_;
  const std::size_t slots_;
  DeviceMeter meter_;
  std::atomic<std::chrono::steady_clock::time_point> busy_at_;  ///< when a batch was last pulled
  std::atomic<bool> gave_back_ = true;

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  bool stopped_ = false;
  std::string error_;                   ///< why it is down
  inference::NetworkInfo probed_with_;  ///< the network of the batch that was lost
};

}  // namespace retouchd::stages
