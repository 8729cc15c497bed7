#pragma once

#include <array>
#include <chrono>
#include <filesystem>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "queue/job.h"

namespace retouchd::queue {

/// Up to this size a source counts as small: ClaimRequest::largest_file is answered from an index of its own.
inline constexpr Bytes kSmallFile = mebibytes(1);

/// Which jobs are wanted.
struct ClaimRequest {
  int count = 1;
  int running = 0;  ///< the caller's jobs in flight
  /// Only jobs whose source has at most so many bytes. Costs no more than without when it is kSmallFile; with other values jobs
  /// that are too large are looked at and left.
  std::uint64_t largest_file = std::numeric_limits<std::uint64_t>::max();
  std::vector<std::string> not_from{};  ///< origins left out

  [[nodiscard]] bool leaves_out() const noexcept {
    return largest_file != std::numeric_limits<std::uint64_t>::max() || !not_from.empty();
  }
};

/// The durable list of jobs. What was answered with success is on disk (fsynced) before the answer.
///
/// Every transition is one transaction that also writes its event; updates by an owner name the claim's epoch and fail with
/// kConflict when the job has moved on (the caller then drops its work silently).
///
/// Threads: every method may be called from any thread. Listeners and callbacks run on the store's own thread: keep them short,
/// never call back into the store from them.
class JobStore {
 public:
  struct Accepted {
    JobId id = 0;
    bool duplicate = false;  ///< same key and same request were accepted before: this is that job
  };
  using AcceptCallback = std::function<void(Result<Accepted>)>;

  struct Publication {
    std::filesystem::path output;     ///< final path
    std::filesystem::path temporary;  ///< complete, fsynced file on the same file system
    std::string sha256;
    std::uint64_t size = 0;
    std::string replaces;  ///< sha256 of retouchd's own older file that stands there; empty: nothing, or `overwrite`
  };

  struct Filter {
    std::optional<JobState> state;
    std::string origin;  ///< empty: all
    JobId after = 0;     ///< pages: newest first, ids below `after` (0: from the newest)
    int limit = 100;     ///< at most 1,000
  };

  /// Jobs by state, as the metrics and the status page show them.
  using Counts = std::array<std::int64_t, 7>;  ///< indexed by JobState

  virtual ~JobStore() = default;

  /// Makes a job durable, then calls back (from the store's thread): the id, or kConflict (same key, other request),
  /// kStoreFailed, kDiskFull. Many accepts share one commit. When too many wait, kBusy at once, from the caller's thread.
  virtual void accept(JobRequest request, AcceptCallback done) = 0;
  /// The same, waiting for the answer.
  [[nodiscard]] Result<Accepted> accept_and_wait(JobRequest request);

  /// Claims ready jobs: higher priority, then earlier deadline, then the origin that got least so far, then the oldest; every
  /// eighth one is the oldest of all (claim_order.h). Jobs that crashed the process before (suspects) are handed out alone: only
  /// when `running` is 0 and the request leaves no jobs out, and then exactly one. Jobs that it meets after their deadlines fail
  /// with kDeadlinePassed.
  [[nodiscard]] virtual Result<std::vector<Job>> claim(const ClaimRequest& request) = 0;

  /// The moment the next queued job becomes ready (may be past: now), or nullopt when none is queued, or none could be claimed
  /// before a job in flight ends (suspects run alone). Ask again when a job ends or arrives.
  [[nodiscard]] virtual std::optional<UnixMillis> next_ready() = 0;

  [[nodiscard]] virtual Result<void> record_preview(Claim claim, const std::filesystem::path& preview,
                                                    const std::string& body) = 0;
  /// What was decided about a running job (queue/decision.h), as stored and announced ("decided").
  [[nodiscard]] virtual Result<void> record_decision(Claim claim, const std::string& decision) = 0;
  /// A usable result of a lower level exists ("level"); `body` is a JSON object that names it.
  [[nodiscard]] virtual Result<void> record_level(Claim claim, const std::string& body) = 0;
  /// running -> escalated ("escalated", with the decision): the job belongs to whoever works on it elsewhere, under this claim's
  /// epoch, also after a restart, and counts as no crash. kCancelled when cancellation was requested (call finish_cancelled).
  [[nodiscard]] virtual Result<void> escalate(Claim claim, const std::string& decision) = 0;
  /// escalated -> queued, ready at once. With `returned`, a complete and durable file: "returned"; without: "fell_back". `body`:
  /// JSON object, the event's own fields. The decision is replaced.
  [[nodiscard]] virtual Result<void> take_back(Claim claim, const std::string& decision, const std::filesystem::path& returned,
                                               const std::string& body) = 0;
  /// Also kBusy when another job is publishing at the same path at this moment (retry later), kCancelled when cancellation was
  /// requested (call finish_cancelled). May be repeated in `publishing`.
  [[nodiscard]] virtual Result<void> begin_publishing(Claim claim, const Publication& publication) = 0;
  [[nodiscard]] virtual Result<void> complete(Claim claim, const std::string& details) = 0;
  /// Back to the queue, not before `when`; from running or publishing, as are the next three. A job whose cancellation was
  /// requested becomes cancelled instead of going back. `count_attempt` is false for causes outside the job (disk full, device
  /// lost).
  [[nodiscard]] virtual Result<void> retry_at(Claim claim, const Error& error, UnixMillis when, bool count_attempt) = 0;
  [[nodiscard]] virtual Result<void> fail(Claim claim, const Error& error) = 0;
  /// Back to the queue as if never claimed (drain).
  [[nodiscard]] virtual Result<void> hand_back(Claim claim) = 0;
  /// Ends a running job whose cancellation was requested.
  [[nodiscard]] virtual Result<void> finish_cancelled(Claim claim) = 0;

  /// Queued or escalated: cancelled at once. Running: a request that the pipeline honours within one batch. Terminal or
  /// publishing: unchanged (idempotent). Returns the job as it is after the call, or kUnknownJob.
  [[nodiscard]] virtual Result<Job> cancel(JobId id) = 0;
  /// failed or cancelled -> queued with its counters reset, without its decision, and without its deadline when that has passed.
  /// Any other state: unchanged.
  [[nodiscard]] virtual Result<Job> retry(JobId id) = 0;

  [[nodiscard]] virtual Result<Job> get(JobId id) = 0;
  [[nodiscard]] virtual Result<std::vector<Job>> list(const Filter& filter) = 0;
  [[nodiscard]] virtual Result<std::vector<JobEvent>> events(JobId id) = 0;
  [[nodiscard]] virtual Result<Counts> counts() = 0;
  /// The job accepted under this idempotency key, whatever its state; nullopt when there is none.
  [[nodiscard]] virtual Result<std::optional<Job>> find_by_key(const std::string& key) = 0;
  /// True when a done job (its newest writer) put a file with this sha256 at `output`: retouchd may replace it.
  [[nodiscard]] virtual Result<bool> is_own_output(const std::filesystem::path& output, const std::string& sha256) = 0;

  /// Forgets terminal jobs that finished before `done_before` (done, cancelled) or `failed_before` (failed); returns how many.
  /// Watch keys of forgotten jobs are kept, so that an old picture in the watched folder is not restored again.
  [[nodiscard]] virtual Result<int> forget(UnixMillis done_before, UnixMillis failed_before) = 0;

  /// Notifications that are due, the oldest first; of each job only its oldest one, so that its events are told in order. They
  /// are made, in the transaction of their event, for the kinds that the store was opened with, and go with their job.
  [[nodiscard]] virtual Result<std::vector<Notification>> due_notifications(int limit) = 0;
  /// When the next one will be due (may be past); nullopt: none waits.
  [[nodiscard]] virtual Result<std::optional<UnixMillis>> next_notification() = 0;
  /// Delivered, or given up. Succeeds when it is gone already, as does the next one.
  [[nodiscard]] virtual Result<void> forget_notification(const std::string& id) = 0;
  /// One more failed attempt; due again at `when`.
  [[nodiscard]] virtual Result<void> delay_notification(const std::string& id, UnixMillis when) = 0;

  /// Called after every commit with its events, in order. Set before the first use.
  virtual void set_listener(std::function<void(const std::vector<JobEvent>&)> listener) = 0;
};

}  // namespace retouchd::queue
