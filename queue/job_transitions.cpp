#include "queue/job_transitions.h"

#include <chrono>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

#include "queue/job_rows.h"

namespace retouchd::queue {
namespace {

constexpr std::string_view kWatchOrigin = "watch:";

// Jobs during which a process died run alone, which stops all others: they go last, so that a night's work is not held up, but an
// endless stream of new jobs must not keep them waiting for ever.
constexpr std::chrono::minutes kSuspectsGoLast{10};

// Jobs past their deadlines that one claim fails: the store's other callers wait for it.
constexpr int kMostExpired = 256;

std::string label(JobId id) { return "job " + std::to_string(id); }

}  // namespace

JobTransitions::JobTransitions(Database& database, const Clock& clock, std::string boot_id,
                               const std::vector<std::string>& notify)
    : clock_(clock),
      boot_id_(std::move(boot_id)),
      suspects_first_from_(clock.now() + kSuspectsGoLast),
      find_(database.prepare("SELECT " + kJobColumns + " FROM job WHERE id=?1")),
      find_key_(database.prepare("SELECT id, request_hash FROM job WHERE key=?1")),
      find_remembered_(database.prepare("SELECT job, request_hash FROM remembered WHERE key=?1")),
      insert_(database.prepare("INSERT INTO job(key, request_hash, origin, source, device, inode, size, mtime_ns, spooled, name, "
                               "output, error_report, "
                               "overwrite, wants_preview, network, priority, deadline, policy, skip_good, preview_only, state, "
                               "accepted_at) "
                               "VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20,'queued',"
                               "?21) RETURNING id")),
      insert_event_(database.prepare("INSERT INTO event(job, seq, at, kind, body) "
                                     "SELECT ?1, coalesce(max(seq),0)+1, ?2, ?3, ?4 FROM event WHERE job=?1 RETURNING seq")),
      notifications_(database, notify),
      order_(database),
      suspect_runs_(database.prepare(
          "SELECT 1 FROM job INDEXED BY job_active WHERE state IN('running','publishing') AND crashes>0 LIMIT 1")),
      wake_(database.prepare(
          "UPDATE job INDEXED BY job_waiting SET not_before=0 WHERE state='queued' AND not_before>0 AND not_before<=?1")),
      suspects_(database.prepare("SELECT id FROM job INDEXED BY job_suspect WHERE state='queued' AND not_before=0 AND crashes>0 "
                                 "ORDER BY crashes, priority DESC, id LIMIT 1")),
      start_(database.prepare("UPDATE job SET state='running', owner=?2, epoch=epoch+1, claims=claims+1, started_at=?3 "
                              "WHERE id=?1 AND state='queued'")),
      preview_(database.prepare("UPDATE job SET preview_path=?3 WHERE id=?1 AND epoch=?2")),
      decision_(database.prepare("UPDATE job SET decision=?3 WHERE id=?1 AND epoch=?2 AND state='running'")),
      escalate_(database.prepare("UPDATE job SET state='escalated', owner=NULL, decision=?3, returned_path=NULL "
                                 "WHERE id=?1 AND epoch=?2 AND state='running'")),
      take_back_(database.prepare("UPDATE job SET state='queued', not_before=0, decision=?3, returned_path=?4 "
                                  "WHERE id=?1 AND epoch=?2 AND state='escalated'")),
      owner_of_output_(database.prepare("SELECT id, state FROM job WHERE output_path=?1 AND superseded=0")),
      supersede_(database.prepare("UPDATE job SET superseded=1 WHERE id=?1")),
      publish_(
          database.prepare("UPDATE job SET state='publishing', output_path=?3, temporary=?4, output_sha256=?5, output_size=?6, "
                           "replaces_sha256=?7, superseded=0 WHERE id=?1 AND epoch=?2 AND state IN('running','publishing')")),
      complete_(database.prepare(
          "UPDATE job SET state='done', owner=NULL, temporary=NULL, replaces_sha256=NULL, returned_path=NULL, details=?3, "
          "finished_at=?4, error_code=NULL, error_message=NULL, error_stage=NULL "
          "WHERE id=?1 AND epoch=?2 AND state='publishing'")),
      requeue_(
          database.prepare("UPDATE job SET state='queued', owner=NULL, temporary=NULL, not_before=?3, attempts=?4, crashes=?5, "
                           "error_code=coalesce(?6,error_code), error_message=coalesce(?7,error_message), "
                           "error_stage=coalesce(?8,error_stage) "
                           "WHERE id=?1 AND epoch=?2 AND state IN('running','publishing')")),
      end_(database.prepare(
          "UPDATE job SET state=?3, owner=NULL, temporary=NULL, returned_path=NULL, not_before=0, finished_at=?4, crashes=?5, "
          "error_code=?6, error_message=?7, error_stage=?8 "
          "WHERE id=?1 AND epoch=?2 AND state IN('queued','running','publishing','escalated')")),
      request_cancel_(database.prepare("UPDATE job SET cancel_requested=1 WHERE id=?1 AND epoch=?2 AND state='running'")),
      retry_(database.prepare(
          "UPDATE job SET state='queued', cancel_requested=0, claims=0, attempts=0, crashes=0, not_before=0, decision=NULL, "
          "deadline=iif(deadline<=?3,?4,deadline), finished_at=NULL, error_code=NULL, error_message=NULL, error_stage=NULL "
          "WHERE id=?1 AND epoch=?2 AND state IN('failed','cancelled')")),
      finished_(database.prepare("SELECT id, state FROM job INDEXED BY job_finished WHERE finished_at IS NOT NULL AND "
                                 "finished_at<max(?1,?2) AND finished_at<CASE state WHEN 'failed' THEN ?2 ELSE ?1 END LIMIT ?3")),
      remember_(database.prepare("INSERT INTO remembered(key, job, request_hash, state, finished_at, output_path, output_sha256) "
                                 "SELECT key, id, request_hash, state, finished_at, iif(superseded, NULL, output_path), "
                                 "iif(state='done', output_sha256, coalesce(replaces_sha256, output_sha256)) FROM job WHERE "
                                 "id=?1 AND substr(origin,1,6)=?2")),
      forget_(database.prepare("DELETE FROM job WHERE id=?1")) {}

Result<JobStore::Accepted> JobTransitions::accept(const JobRequest& request) {
  if (request.key.empty()) return make_error(ErrorCode::kInvalidRequest, "the job for " + request.name + " has no key");
  const std::string hash = hash_of(request);
  for (Statement* known : {&find_key_, &find_remembered_}) {
    Rows rows = known->query(request.key);
    if (!rows.next()) continue;
    const JobId id = rows.integer(0);
    if (rows.text(1) == hash) return JobStore::Accepted{id, true};
    return make_error(ErrorCode::kConflict,
                      "the key \"" + request.key + "\" belongs to " + label(id) + ", whose request differs");
  }
  const UnixMillis now = clock_.now();
  JobId id = 0;
  {
    Rows rows = insert_.query(request.key, hash, request.origin, request.source, request.identity.device, request.identity.inode,
                              request.identity.size, request.identity.mtime_ns, request.spooled, request.name, request.output,
                              request.error_report, request.overwrite, request.preview, request.network, request.priority,
                              request.deadline, request.policy, request.skip_good, request.preview_only, now);
    if (rows.next()) id = rows.integer(0);
  }
  changes_.counts[static_cast<std::size_t>(JobState::kQueued)] += 1;
  add_event(id, "accepted", accepted_body(request));
  return JobStore::Accepted{id, false};
}

Result<std::vector<Job>> JobTransitions::claim(const ClaimRequest& request) {
  std::vector<Job> jobs;
  if (request.count <= 0) return jobs;
  if (suspect_runs_.query().next()) return jobs;
  const UnixMillis now = clock_.now();
  wake_.run(now);
  std::optional<JobId> suspect;
  {
    Rows rows = suspects_.query();
    if (rows.next()) suspect = rows.integer(0);
  }
  bool is_any_ready = false;
  if (!suspect || now < suspects_first_from_) {
    const auto wanted = static_cast<std::size_t>(request.count);
    for (int expired = 0; jobs.size() < wanted && expired < kMostExpired;) {
      const auto next = order_.next(request);
      if (!next) break;
      is_any_ready = true;
      if (auto job = start(next->id, now)) {
        order_.claimed(*next);
        jobs.push_back(std::move(*job));
      } else {
        ++expired;
      }
    }
  }
  if (!is_any_ready && suspect && request.running == 0 && !request.leaves_out()) {
    if (auto job = start(*suspect, now)) jobs.push_back(std::move(*job));
  }
  return jobs;
}

std::optional<Job> JobTransitions::start(JobId id, UnixMillis now) {
  const auto look = [&] {
    Rows rows = find_.query(id);
    rows.next();
    return read_job(rows);
  };
  if (const Job queued = look(); queued.request.deadline <= now) {
    const Error error = make_error(ErrorCode::kDeadlinePassed, "the deadline of " + queued.request.name + " passed in the queue");
    end(queued, JobState::kFailed, "failed", failed_body(queued, error), error);
    return std::nullopt;
  }
  expect_one(start_.run(id, boot_id_, now), id);
  Job job = look();
  changes_.counts[static_cast<std::size_t>(JobState::kQueued)] -= 1;
  changes_.counts[static_cast<std::size_t>(JobState::kRunning)] += 1;
  add_event(id, "started", text_of({{"epoch", job.epoch}, {"claims", job.claims}, {"attempts", job.attempts}}));
  return job;
}

Result<void> JobTransitions::record_preview(Claim claim, const std::filesystem::path& preview, const std::string& body) {
  auto job = owned(claim, JobState::kRunning, JobState::kRunning);
  if (!job) return job.error();
  expect_one(preview_.run(claim.id, claim.epoch, preview), claim.id);
  add_event(claim.id, "preview", preview_body(preview, body));
  return {};
}

Result<void> JobTransitions::record_decision(Claim claim, const std::string& decision) {
  auto job = owned(claim, JobState::kRunning, JobState::kRunning);
  if (!job) return job.error();
  expect_one(decision_.run(claim.id, claim.epoch, decision), claim.id);
  add_event(claim.id, "decided", object_body(decision));
  return {};
}

Result<void> JobTransitions::record_level(Claim claim, const std::string& body) {
  auto job = owned(claim, JobState::kRunning, JobState::kRunning);
  if (!job) return job.error();
  add_event(claim.id, "level", object_body(body));
  return {};
}

Result<void> JobTransitions::escalate(Claim claim, const std::string& decision) {
  auto job = owned(claim, JobState::kRunning, JobState::kRunning);
  if (!job) return job.error();
  if (job->cancel_requested) return make_error(ErrorCode::kCancelled, label(claim.id) + " was cancelled");
  expect_one(escalate_.run(claim.id, claim.epoch, decision), claim.id);
  move(*job, JobState::kEscalated);
  add_event(claim.id, "escalated", object_body(decision));
  return {};
}

Result<void> JobTransitions::take_back(Claim claim, const std::string& decision, const std::filesystem::path& returned,
                                       const std::string& body) {
  auto job = owned(claim, JobState::kEscalated, JobState::kEscalated);
  if (!job) return job.error();
  const auto file = returned.empty() ? std::nullopt : std::optional(returned);
  expect_one(take_back_.run(claim.id, claim.epoch, decision, file), claim.id);
  move(*job, JobState::kQueued);
  add_event(claim.id, file ? "returned" : "fell_back", object_body(body));
  return {};
}

Result<void> JobTransitions::begin_publishing(Claim claim, const JobStore::Publication& publication) {
  auto job = owned(claim, JobState::kRunning, JobState::kPublishing);
  if (!job) return job.error();
  if (job->cancel_requested) return make_error(ErrorCode::kCancelled, label(claim.id) + " was cancelled");
  JobId previous = 0;
  {
    Rows rows = owner_of_output_.query(publication.output);
    if (rows.next() && rows.integer(0) != claim.id) {
      previous = rows.integer(0);
      if (rows.text(1) == name_of(JobState::kPublishing)) {
        return make_error(ErrorCode::kBusy, label(previous) + " is writing " + publication.output.string() + " at this moment");
      }
    }
  }
  if (previous != 0) supersede_.run(previous);
  const std::optional<std::string> replaces =
      publication.replaces.empty() ? std::nullopt : std::optional<std::string>(publication.replaces);
  expect_one(publish_.run(claim.id, claim.epoch, publication.output, publication.temporary, publication.sha256, publication.size,
                          replaces),
             claim.id);
  move(*job, JobState::kPublishing);
  return {};
}

Result<void> JobTransitions::complete(Claim claim, const std::string& details) {
  auto job = owned(claim, JobState::kPublishing, JobState::kPublishing);
  if (!job) return job.error();
  const UnixMillis now = clock_.now();
  expect_one(complete_.run(claim.id, claim.epoch, details, now), claim.id);
  move(*job, JobState::kDone);
  add_event(claim.id, "done", done_body(*job, now, details));
  return {};
}

Result<void> JobTransitions::retry_at(Claim claim, const Error& error, UnixMillis when, bool count_attempt) {
  auto job = owned(claim, JobState::kRunning, JobState::kPublishing);
  if (!job) return job.error();
  if (job->cancel_requested) return finish_cancelled(claim);
  requeue(*job, error, when, job->attempts + (count_attempt ? 1 : 0), job->crashes);
  add_event(claim.id, count_attempt ? "retrying" : "waiting", retry_body(error, when));
  return {};
}

Result<void> JobTransitions::fail(Claim claim, const Error& error) {
  auto job = owned(claim, JobState::kRunning, JobState::kPublishing);
  if (!job) return job.error();
  if (job->cancel_requested && error.code == ErrorCode::kCancelled) return finish_cancelled(claim);
  end(*job, JobState::kFailed, "failed", failed_body(*job, error), error);
  return {};
}

Result<void> JobTransitions::hand_back(Claim claim) {
  auto job = owned(claim, JobState::kRunning, JobState::kPublishing);
  if (!job) return job.error();
  if (job->cancel_requested) return finish_cancelled(claim);
  requeue(*job, std::nullopt, UnixMillis{}, job->attempts, job->crashes);
  add_event(claim.id, "handed_back", "{}");
  return {};
}

Result<void> JobTransitions::finish_cancelled(Claim claim) {
  auto job = owned(claim, JobState::kRunning, JobState::kPublishing);
  if (!job) return job.error();
  if (!job->cancel_requested) return make_error(ErrorCode::kConflict, "nobody asked to cancel " + label(claim.id));
  end(*job, JobState::kCancelled, "cancelled", cancelled_body(*job), job->error);
  return {};
}

Result<Job> JobTransitions::cancel(JobId id) {
  auto job = find(id);
  if (!job) return job.error();
  if (job->state == JobState::kQueued || job->state == JobState::kEscalated) {
    end(*job, JobState::kCancelled, "cancelled", cancelled_body(*job), job->error);
  } else if (job->state == JobState::kRunning && !job->cancel_requested) {
    expect_one(request_cancel_.run(id, job->epoch), id);
    add_event(id, "cancel_requested", "{}");
  } else {
    return job;
  }
  return find(id);
}

Result<Job> JobTransitions::retry(JobId id) {
  auto job = find(id);
  if (!job) return job.error();
  if (job->state != JobState::kFailed && job->state != JobState::kCancelled) return job;
  expect_one(retry_.run(id, job->epoch, clock_.now(), kNever), id);
  move(*job, JobState::kQueued);
  add_event(id, "accepted", accepted_body(job->request));
  return find(id);
}

Result<int> JobTransitions::forget(UnixMillis done_before, UnixMillis failed_before, int limit) {
  std::vector<std::pair<JobId, JobState>> old;
  {
    Rows rows = finished_.query(done_before, failed_before, limit);
    while (rows.next()) old.emplace_back(rows.integer(0), job_state_from_name(rows.text(1)).value_or(JobState::kDone));
  }
  for (const auto& [id, state] : old) {
    remember_.run(id, kWatchOrigin);
    expect_one(forget_.run(id), id);
    changes_.counts[static_cast<std::size_t>(state)] -= 1;
  }
  return static_cast<int>(old.size());
}

void JobTransitions::record_crash(const Job& job, int max_crashes) {
  if (job.cancel_requested) {
    end(job, JobState::kCancelled, "cancelled", "{}", job.error);
    return;
  }
  Error error{ErrorCode::kCrashedDaemon, {}, {}};
  Job crashed = job;
  crashed.crashes += 1;
  const std::string times = std::to_string(crashed.crashes) + (crashed.crashes == 1 ? " time" : " times");
  error.message = "retouchd ended " + times + " while it worked on " + job.request.name;
  if (crashed.crashes >= max_crashes) {
    end(crashed, JobState::kFailed, "failed", failed_body(job, error), error);
    return;
  }
  requeue(job, error, UnixMillis{}, job.attempts, crashed.crashes);
  add_event(job.id, "retrying", retry_body(error, clock_.now()));
}

JobTransitions::Changes JobTransitions::take_changes() { return std::exchange(changes_, {}); }

void JobTransitions::forget_changes() { changes_ = {}; }

Result<Job> JobTransitions::owned(Claim claim, JobState state, JobState other) {
  auto job = find(claim.id);
  if (!job) return make_error(ErrorCode::kConflict, label(claim.id) + " is gone");
  if (job->epoch == claim.epoch && (job->state == state || job->state == other)) return job;
  return make_error(ErrorCode::kConflict, label(claim.id) + " has moved on: it is " + std::string(name_of(job->state)) +
                                              " in epoch " + std::to_string(job->epoch) + ", the caller's was " +
                                              std::to_string(claim.epoch));
}

Result<Job> JobTransitions::find(JobId id) {
  Rows rows = find_.query(id);
  if (!rows.next()) return make_error(ErrorCode::kUnknownJob, "there is no job " + std::to_string(id));
  return read_job(rows);
}

void JobTransitions::end(const Job& job, JobState state, std::string_view kind, const std::string& body,
                         const std::optional<Error>& error) {
  std::optional<std::string> code, message, stage;
  if (error) {
    code = error->name();
    message = error->message;
    stage = error->stage;
  }
  expect_one(end_.run(job.id, job.epoch, name_of(state), clock_.now(), job.crashes, code, message, stage), job.id);
  move(job, state);
  add_event(job.id, kind, body);
}

void JobTransitions::requeue(const Job& job, const std::optional<Error>& error, UnixMillis when, int attempts, int crashes) {
  std::optional<std::string> code, message, stage;
  if (error) {
    code = error->name();
    message = error->message;
    stage = error->stage;
  }
  // A moment that has passed is no back-off: the job is ready at once.
  const UnixMillis not_before = when > clock_.now() ? when : UnixMillis{};
  expect_one(requeue_.run(job.id, job.epoch, not_before, attempts, crashes, code, message, stage), job.id);
  move(job, JobState::kQueued);
}

void JobTransitions::move(const Job& job, JobState to) {
  changes_.counts[static_cast<std::size_t>(job.state)] -= 1;
  changes_.counts[static_cast<std::size_t>(to)] += 1;
}

void JobTransitions::add_event(JobId id, std::string_view kind, const std::string& body) {
  JobEvent event{id, 0, std::string(kind), clock_.now(), body};
  Rows rows = insert_event_.query(id, event.at, kind, body);
  if (rows.next()) event.seq = rows.integer(0);
  notifications_.add(event);
  changes_.events.push_back(std::move(event));
}

void JobTransitions::expect_one(int changed, JobId id) const {
  // Impossible while one connection writes and every transition looks first; undoing the transaction is then the safe answer.
  if (changed != 1) throw std::logic_error("an update of " + label(id) + " changed " + std::to_string(changed) + " rows");
}

}  // namespace retouchd::queue
