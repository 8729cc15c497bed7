#include "stages/outcomes.h"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace retouchd::stages {
namespace {

/// How often a job that waits for disk space looks again.
constexpr std::chrono::seconds kDiskFullPause{15};

}  // namespace

Outcomes::Outcomes(queue::JobStore& store, RunsInFlight& in_flight, PipelineObserver& observer, RetryPolicy policy,
                   const Clock& clock, std::function<void()> freed)
    : store_(store),
      in_flight_(in_flight),
      observer_(observer),
      clock_(clock),
      freed_(std::move(freed)),
      policy_(std::move(policy)) {}

void Outcomes::set_policy(RetryPolicy policy) {
  const std::lock_guard lock(policy_mutex_);
  policy_ = std::move(policy);
}

void Outcomes::done(PictureRun& run) {
  if (!run.end()) return;
  observer_.job_done(clock_.now() - run.job.accepted_at);
  leave(run, {});
}

void Outcomes::wait(PictureRun& run, const Error& error, std::chrono::milliseconds pause) {
  if (!run.end()) return;
  observer_.job_retried(error.code);
  leave(run, store_.retry_at(run.claim(), error, clock_.now() + pause, false));
}

void Outcomes::escalated(PictureRun& run) {
  if (!run.end()) return;
  auto recorded = store_.escalate(run.claim(), queue::to_text(run.decision));
  if (!recorded && recorded.error().code == ErrorCode::kCancelled) recorded = store_.finish_cancelled(run.claim());
  leave(run, recorded);
}

void Outcomes::failed(PictureRun& run, const Error& error) {
  if (!run.end()) return;
  leave(run, record_failure(run, error));
}

void Outcomes::cancelled(PictureRun& run) {
  if (!run.end_from_outside()) return;
  leave(run, store_.finish_cancelled(run.claim()));
}

void Outcomes::hand_back(PictureRun& run) {
  if (!run.end_from_outside()) return;
  leave(run, store_.hand_back(run.claim()));
}

Result<void> Outcomes::record_failure(const PictureRun& run, const Error& error) {
  if (error.code == ErrorCode::kConflict) return {};  // the job has moved on without us
  if (error.code == ErrorCode::kCancelled) return store_.finish_cancelled(run.claim());
  RetryPolicy policy;
  {
    const std::lock_guard lock(policy_mutex_);
    policy = policy_;
  }
  const auto backoff = [&](int failures) {
    return policy.backoff[std::min(static_cast<std::size_t>(failures), policy.backoff.size() - 1)];
  };
  if (error.code == ErrorCode::kDiskFull && policy.waits_for_disk) {
    observer_.job_retried(error.code);
    return store_.retry_at(run.claim(), error, clock_.now() + kDiskFullPause, false);
  }
  if (error.code == ErrorCode::kBusy) return store_.retry_at(run.claim(), error, clock_.now() + backoff(0), false);
  if (traits_of(error.code).transient && run.job.attempts + 1 < policy.attempts) {
    spdlog::warn("job {} failed and is tried again in {} s: {}", run.job.id,
                 std::chrono::duration_cast<std::chrono::seconds>(backoff(run.job.attempts)).count(), error.message);
    observer_.job_retried(error.code);
    return store_.retry_at(run.claim(), error, clock_.now() + backoff(run.job.attempts), true);
  }
  return store_.fail(run.claim(), error);
}

void Outcomes::leave(const PictureRun& run, const Result<void>& recorded) {
  if (!recorded && recorded.error().code != ErrorCode::kConflict) {
    // The job stays claimed in the store; it is taken up again at the next start.
    spdlog::error("job {}: its end could not be recorded: {}", run.job.id, recorded.error().message);
  }
  in_flight_.remove(run.job.id);
  freed_();
}

}  // namespace retouchd::stages
