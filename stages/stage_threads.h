#pragma once

#include <chrono>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "queue/bounded_queue.h"
#include "stages/observer.h"
#include "stages/outcomes.h"
#include "stages/picture_run.h"

namespace retouchd::stages {

/// The pipeline's threads: named, started in one place, joined in one place. Confined to the thread that owns it.
class StageThreads {
 public:
  /// `body` runs until its queue is closed and empty.
  void start(const std::string& name, int count, const std::function<void()>& body);
  void join();

 private:
  std::vector<std::jthread> threads_;
};

/// Where a run goes after a stage; nullptr: the stage passed it on itself.
using NextQueue = std::function<queue::BoundedQueue<RunPtr>*(const PictureRun&)>;

/// A stage's whole thread: takes runs from `in`, lets the stage work, hands those that are not over to their next queue. Nothing
/// that a stage returns or throws gets past here: the job fails, the thread goes on. A run whose deadline has passed fails before
/// the stage begins.
template <class Stage>
void run_stage(Stage& stage, queue::BoundedQueue<RunPtr>& in, const NextQueue& next, Outcomes& outcomes,
               PipelineObserver& observer, const Clock& clock = system_clock()) {
  while (std::optional<RunPtr> run = in.pop()) {
    if ((*run)->is_over()) continue;
    if ((*run)->job.request.deadline <= clock.now()) {
      outcomes.failed(**run, {ErrorCode::kDeadlinePassed, "the deadline of " + (*run)->job.request.name + " has passed",
                              std::string(Stage::kName)});
      continue;
    }
    const auto start = std::chrono::steady_clock::now();
    Result<void> result;
    try {
      result = stage.process(*run);
    } catch (const std::exception& error) {
      result = make_error(ErrorCode::kInternal, std::string("unexpected: ") + error.what());
    }
    const Seconds took = std::chrono::steady_clock::now() - start;
    observer.stage_finished(Stage::kName, took);
    if (!result) {
      Error error = result.error();
      if (error.stage.empty()) error.stage = Stage::kName;
      outcomes.failed(**run, error);
      continue;
    }
    if ((*run)->is_over()) continue;
    if (queue::BoundedQueue<RunPtr>* out = next(**run)) {
      (*run)->seconds[std::string(Stage::kName)] = took.count();
      if (!out->push(*run)) outcomes.hand_back(**run);
    }
  }
}

}  // namespace retouchd::stages
