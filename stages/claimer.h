#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <set>

#include "base/clock.h"
#include "queue/bounded_queue.h"
#include "queue/job_store.h"
#include "queue/tile_scheduler.h"
#include "stages/outcomes.h"
#include "stages/runs_in_flight.h"

namespace retouchd::stages {

/// Takes jobs out of the store and into the pipeline, a few at a time, and carries requests for cancellation to the runs.
///
/// Threads: run() has one thread of its own; wake(), cancel() and stop() may be called from any.
class Claimer {
 public:
  struct Options {
    std::size_t most_in_flight = 16;  ///< jobs claimed and not ended; what they may hold in memory is the ledger's business
    int at_once = 4;                  ///< jobs of one claim
  };

  Claimer(Options options, queue::JobStore& store, RunsInFlight& in_flight, Outcomes& outcomes, queue::TileScheduler& scheduler,
          queue::BoundedQueue<RunPtr>& decode, const Clock& clock)
      : options_(options),
        store_(store),
        in_flight_(in_flight),
        outcomes_(outcomes),
        scheduler_(scheduler),
        decode_(decode),
        clock_(clock) {}

  /// Until stop().
  void run();

  /// Something may have become claimable: a job was accepted, one ended.
  void wake();
  /// Cancellation of a running job was committed to the store.
  void cancel(queue::JobId id);
  /// Claims nothing more; run() returns. Jobs in flight go on.
  void stop();

 private:
  void cancel_requested_runs(const std::set<queue::JobId>& ids);
  /// False when there was nothing to claim or no room.
  [[nodiscard]] bool claim_some();
  /// Until woken, stopped, or the next job becomes ready.
  void wait();

  const Options options_;
  queue::JobStore& store_;
  RunsInFlight& in_flight_;
  Outcomes& outcomes_;
  queue::TileScheduler& scheduler_;
  queue::BoundedQueue<RunPtr>& decode_;
  const Clock& clock_;

  std::mutex mutex_;
  std::condition_variable changed_;
  bool woken_ = false;
  bool stopped_ = false;
  std::set<queue::JobId> to_cancel_;
};

}  // namespace retouchd::stages
