#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "queue/claim_order.h"
#include "queue/job.h"
#include "queue/job_store.h"
#include "queue/notifications.h"
#include "queue/sqlite_database.h"

namespace retouchd::queue {

/// The transitions of jobs, as docs/architecture.md draws them, on the writing connection. Each looks first, then either changes
/// the row and adds its event, or returns an error and has changed nothing. The caller holds the transaction and calls
/// forget_changes() when it was undone, take_changes() when it was committed.
///
/// Every update names the epoch it expects. Throws SqliteError; then the transaction has to be undone. Confined to the thread
/// that uses the connection.
class JobTransitions {
 public:
  /// What a transaction did.
  struct Changes {
    std::vector<JobEvent> events;
    JobStore::Counts counts{};  ///< differences
  };

  /// `notify`: the kinds of events that get a notification.
  JobTransitions(Database& database, const Clock& clock, std::string boot_id, const std::vector<std::string>& notify);

  Result<JobStore::Accepted> accept(const JobRequest& request);
  Result<std::vector<Job>> claim(const ClaimRequest& request);
  Result<void> record_preview(Claim claim, const std::filesystem::path& preview, const std::string& body);
  Result<void> record_decision(Claim claim, const std::string& decision);
  Result<void> record_level(Claim claim, const std::string& body);
  Result<void> escalate(Claim claim, const std::string& decision);
  Result<void> take_back(Claim claim, const std::string& decision, const std::filesystem::path& returned,
                         const std::string& body);
  Result<void> begin_publishing(Claim claim, const JobStore::Publication& publication);
  Result<void> complete(Claim claim, const std::string& details);
  Result<void> retry_at(Claim claim, const Error& error, UnixMillis when, bool count_attempt);
  Result<void> fail(Claim claim, const Error& error);
  Result<void> hand_back(Claim claim);
  Result<void> finish_cancelled(Claim claim);
  Result<Job> cancel(JobId id);
  Result<Job> retry(JobId id);
  /// Forgets up to `limit` of them.
  Result<int> forget(UnixMillis done_before, UnixMillis failed_before, int limit);

  /// The process died during this job: back to the queue with crashes + 1, or failed with kCrashedDaemon at `max_crashes`.
  void record_crash(const Job& job, int max_crashes);

  /// What waits to be told outside.
  [[nodiscard]] Notifications& notifications() noexcept { return notifications_; }

  /// When suspects have waited for others long enough: from then on they are claimed first.
  [[nodiscard]] UnixMillis suspects_first_from() const noexcept { return suspects_first_from_; }

  [[nodiscard]] Changes take_changes();
  void forget_changes();

 private:
  /// The job, when `claim` still holds it and it is in one of the two states; kConflict otherwise.
  Result<Job> owned(Claim claim, JobState state, JobState other);
  Result<Job> find(JobId id);
  /// Claims the job, or fails it when its deadline has passed.
  std::optional<Job> start(JobId id, UnixMillis now);
  void end(const Job& job, JobState state, std::string_view kind, const std::string& body, const std::optional<Error>& error);
  void requeue(const Job& job, const std::optional<Error>& error, UnixMillis when, int attempts, int crashes);
  void move(const Job& job, JobState to);
  void add_event(JobId id, std::string_view kind, const std::string& body);
  void expect_one(int changed, JobId id) const;

  const Clock& clock_;
  std::string boot_id_;
  const UnixMillis suspects_first_from_;
  Changes changes_;

  Statement find_, find_key_, find_remembered_, insert_, insert_event_;
  Notifications notifications_;
  ClaimOrder order_;
  Statement suspect_runs_, wake_, suspects_, start_;
  Statement preview_, decision_, escalate_, take_back_;
  Statement owner_of_output_, supersede_, publish_, complete_;
  Statement requeue_, end_, request_cancel_, retry_;
  Statement finished_, remember_, forget_;
};

}  // namespace retouchd::queue
