#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <set>
#include <utility>

#include "base/clock.h"
#include "base/units.h"
#include "queue/bounded_queue.h"
#include "queue/job_store.h"
#include "queue/tile_scheduler.h"
#include "stages/outcomes.h"
#include "stages/runs_in_flight.h"

namespace retouchd::stages {

/// Takes jobs out of the store and into the pipeline, and carries requests for cancellation to the runs.
///
/// A job in flight may hold hundreds of megabytes, so large pictures are claimed as the device needs them; but a small picture,
/// or that of a client who has few running, is begun at once behind any backlog. At each wake, again and again until nothing
/// fits:
///
///     the device could run dry soon        -> the next job in the store's order (queue/claim_order.h)
///     fewer than most_small small ones     -> the next small jobs
///     anybody has few in flight            -> the next job of those clients
///     otherwise                            -> nothing, until the next wake
///
/// After eight claims of the two middle kinds in a row one goes by the store's order, so that an endless stream of small pictures
/// does not hold up the large ones.
///
/// Threads: run() has one thread of its own; wake(), cancel() and stop() may be called from any.
class Claimer {
 public:
  struct Options {
    std::function<bool()> wants_more;  ///< whether the device could run dry before another picture is decoded; any thread
    std::size_t most_in_flight = 64;   ///< jobs claimed and not ended; what they may hold in memory is the ledger's business
    std::size_t few = 3;               ///< of one client, which are begun although the device has enough to do: their previews
    std::size_t most_small = 16;       ///< small ones that are begun although the device has enough to do
    Bytes small_file = queue::kSmallFile;
    int at_once = 4;  ///< small jobs of one claim
  };

  Claimer(Options options, queue::JobStore& store, RunsInFlight& in_flight, Outcomes& outcomes, queue::TileScheduler& scheduler,
          queue::BoundedQueue<RunPtr>& decode, const Clock& clock)
      : options_(std::move(options)),
        store_(store),
        in_flight_(in_flight),
        outcomes_(outcomes),
        scheduler_(scheduler),
        decode_(decode),
        clock_(clock) {}

  /// Until stop().
  void run();

  /// Something may have become claimable or wanted: a job was accepted, one ended, the device runs low.
  void wake();
  /// Cancellation of a running job was committed to the store.
  void cancel(queue::JobId id);
  /// Claims nothing more; run() returns. Jobs in flight go on.
  void stop();

 private:
  void cancel_requested_runs(const std::set<queue::JobId>& ids);
  /// False when there was nothing to claim, or nothing is wanted now.
  [[nodiscard]] bool claim_some();
  /// How many were claimed and put into the pipeline. A store that fails counts as one, after a pause.
  [[nodiscard]] std::size_t claim(const queue::ClaimRequest& request);
  /// Until woken, stopped, or the next job becomes ready.
  void wait();

  const Options options_;
  queue::JobStore& store_;
  RunsInFlight& in_flight_;
  Outcomes& outcomes_;
  queue::TileScheduler& scheduler_;
  queue::BoundedQueue<RunPtr>& decode_;
  const Clock& clock_;

  int claims_out_of_order_ = 0;  ///< in a row; run()'s

  std::mutex mutex_;
  std::condition_variable changed_;
  bool woken_ = false;
  bool stopped_ = false;
  std::set<queue::JobId> to_cancel_;
};

}  // namespace retouchd::stages
