#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "queue/job.h"

namespace retouchd::intake {

/// Hands job events over from the threads where they happen to the one thread that publishes them.
///
/// Events keep their order and get a number `n` (1, 2, 3, ... since the daemon started) here, so that whatever is lost on the
/// way, to a slow subscriber or to a full hand-over, shows as a gap. When the hand-over is full, progress is dropped first, then
/// the newest event; the store still has every durable one.
///
/// Threads: safe. publish() never blocks and never throws.
class EventPublisher {
 public:
  static constexpr std::size_t kCapacity = 100'000;

  /// One event ready for the PUB socket.
  struct Message {
    std::string topic;  ///< "job.<id>.<kind>"
    std::string text;   ///< JSON
  };

  explicit EventPublisher(std::size_t capacity = kCapacity) : capacity_(capacity) {}

  void publish(const std::vector<queue::JobEvent>& events) noexcept;

  /// Up to `most` events in order; called by the publishing thread.
  [[nodiscard]] std::vector<Message> take(std::size_t most);

  /// Called (from any thread, with no lock held that publish() needs) when events wait after there were none. Empty: nobody
  /// listens.
  void set_wakeup(std::function<void()> wakeup);

  [[nodiscard]] std::uint64_t dropped() const;

 private:
  struct Numbered {
    std::uint64_t n = 0;
    queue::JobEvent event;
  };

  bool add(const queue::JobEvent& event);  // with mutex_ held

  const std::size_t capacity_;
  mutable std::mutex mutex_;
  std::deque<Numbered> waiting_;  // guarded by mutex_, like all below
  std::uint64_t n_ = 0;
  std::uint64_t dropped_ = 0;
  std::mutex wakeup_mutex_;  // held while the wakeup runs, so that it cannot be gone meanwhile
  std::function<void()> wakeup_;
};

}  // namespace retouchd::intake
