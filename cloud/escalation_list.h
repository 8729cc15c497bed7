#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>

#include "base/clock.h"
#include "queue/job.h"

namespace retouchd::cloud {

/// An escalated job, as this process works on it.
struct Escalation {
  using Steady = std::chrono::steady_clock::time_point;

  queue::JobId job = 0;
  bool may_be_known = false;  ///< the node may have it already
  bool is_paid = false;       ///< its permit was given in this process
  int failures = 0;           ///< trips that came to nothing
  bool told_over_budget = false;
  bool waits_for_node = false;  ///< until the breaker is closed
  Steady not_before{};
  UnixMillis take_back_at = kNever;  ///< whatever it waits for, it is looked at then
  std::atomic<bool> is_cancelled{false};

  explicit Escalation(queue::JobId id, bool known) : job(id), may_be_known(known) {}
};

/// The escalated jobs: waiting, or each in the hands of one worker. In the order of their ids.
///
/// Threads: safe. An Escalation that take() gave out belongs to that worker until put_back() or remove().
class EscalationList {
 public:
  explicit EscalationList(const Clock& clock) : clock_(clock) {}

  /// Known already: it is looked at again, after the worker that has it.
  void add(queue::JobId job, bool may_be_known);
  void cancel(queue::JobId job);

  /// The next job to look at, waiting at most `patience` for one (for ever while there is none at all); nullptr: none, or
  /// close(). `node_is_there` is asked under no lock.
  template <class Question>
  [[nodiscard]] Escalation* take(std::chrono::milliseconds patience, Question node_is_there);
  void put_back(Escalation& escalation);
  void remove(Escalation& escalation);

  /// Waits; false, at once, when closed or when this job is cancelled.
  [[nodiscard]] bool pause(const Escalation& escalation, std::chrono::milliseconds time);

  [[nodiscard]] bool empty() const;
  [[nodiscard]] bool is_closed() const;
  void close();

 private:
  struct Entry {
    explicit Entry(queue::JobId id, bool known) : escalation(id, known) {}
    Escalation escalation;
    bool is_taken = false;
    bool again = false;
  };

  [[nodiscard]] Escalation* take_ready(bool node_is_there);
  void end(queue::JobId job);  ///< by value: its entry goes

  const Clock& clock_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<queue::JobId, Entry> entries_;
  bool is_closed_ = false;
};

template <class Question>
Escalation* EscalationList::take(std::chrono::milliseconds patience, Question node_is_there) {
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return is_closed_ || !entries_.empty(); });
    if (is_closed_) return nullptr;
  }
  const bool is_there = node_is_there();
  std::unique_lock lock(mutex_);
  if (is_closed_) return nullptr;
  if (Escalation* ready = take_ready(is_there)) return ready;
  changed_.wait_for(lock, patience);
  return nullptr;
}

}  // namespace retouchd::cloud
