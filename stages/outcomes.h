#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "queue/job_store.h"
#include "stages/observer.h"
#include "stages/runs_in_flight.h"

namespace retouchd::stages {

struct RetryPolicy {
  int attempts = 3;                                ///< for transient failures
  std::vector<std::chrono::milliseconds> backoff;  ///< before the second, third, ... attempt; the last one repeats. Not empty
  bool waits_for_disk = true;                      ///< a full disk makes a job wait instead of fail
};

/// How a run ends: reports it to the job store, once, and takes the run out of flight.
/// Threads: safe; called from any stage.
class Outcomes {
 public:
  /// `freed` is called after each end: there is room for another job.
  Outcomes(queue::JobStore& store, RunsInFlight& in_flight, PipelineObserver& observer, RetryPolicy policy, const Clock& clock,
           std::function<void()> freed);

  /// The store already knows (Publisher::publish completed the job).
  void done(PictureRun& run);
  /// Retries, waits or fails by the error's code and the attempts so far.
  void failed(PictureRun& run, const Error& error);
  /// Back to the queue for so long, for a reason outside the job.
  void wait(PictureRun& run, const Error& error, std::chrono::milliseconds pause);
  /// It goes on elsewhere, as its decision says.
  void escalated(PictureRun& run);
  /// Both leave a run alone whose result is being published. Cancelled by request:
  void cancelled(PictureRun& run);
  /// Drain: as if never claimed.
  void hand_back(PictureRun& run);

  void set_policy(RetryPolicy policy);

 private:
  [[nodiscard]] Result<void> record_failure(const PictureRun& run, const Error& error);
  void leave(const PictureRun& run, const Result<void>& recorded);

  queue::JobStore& store_;
  RunsInFlight& in_flight_;
  PipelineObserver& observer_;
  const Clock& clock_;
  const std::function<void()> freed_;
  std::mutex policy_mutex_;
  RetryPolicy policy_;
};

}  // namespace retouchd::stages
