#include "queue/job_reader.h"

#include <algorithm>
#include <limits>

#include "queue/job_rows.h"

namespace retouchd::queue {
namespace {

constexpr int kLongestList = 1000;  // a long read keeps the log from being used again from its start

UnixMillis time_in(const Rows& rows, int column) { return UnixMillis(std::chrono::milliseconds(rows.integer(column))); }

}  // namespace

JobReader::JobReader(const std::filesystem::path& file, const Clock& clock)
    : file_(file),
      clock_(clock),
      database_(file, Database::Role::kReader),
      get_(database_.prepare("SELECT " + kJobColumns + " FROM job WHERE id=?1")),
      events_(database_.prepare("SELECT seq, kind, at, body FROM event WHERE job=?1 ORDER BY seq")),
      find_key_(database_.prepare("SELECT " + kJobColumns + " FROM job WHERE key=?1")),
      find_remembered_(database_.prepare("SELECT job, state, finished_at, output_path FROM remembered WHERE key=?1")),
      output_(database_.prepare("SELECT output_sha256, replaces_sha256 FROM job WHERE output_path=?1 AND superseded=0")),
      remembered_output_(
          database_.prepare("SELECT output_sha256 FROM remembered WHERE output_path=?1 ORDER BY job DESC LIMIT 1")),
      ready_(database_.prepare(
          "SELECT 1 FROM job INDEXED BY job_ready WHERE state='queued' AND not_before=0 AND crashes=0 LIMIT 1")),
      suspect_(database_.prepare(
          "SELECT 1 FROM job INDEXED BY job_suspect WHERE state='queued' AND not_before=0 AND crashes>0 LIMIT 1")),
      active_(database_.prepare(
          "SELECT coalesce(max(crashes),-1) FROM job INDEXED BY job_active WHERE state IN('running','publishing')")),
      waiting_(database_.prepare("SELECT min(not_before) FROM job INDEXED BY job_waiting WHERE state='queued' AND not_before>0")),
      due_(database_.prepare("SELECT id, job, seq, kind, at, body, attempts FROM notification INDEXED BY notification_due "
                             "WHERE due<=?1 ORDER BY due, id LIMIT ?2")),
      next_due_(database_.prepare("SELECT min(due) FROM notification INDEXED BY notification_due WHERE due IS NOT NULL")) {}

template <class Question>
auto JobReader::ask(Question question) -> std::invoke_result_t<Question> {
  const std::lock_guard lock(mutex_);
  try {
    return question();
  } catch (const SqliteError& failure) {
    return error_from(failure, file_);
  }
}

Result<Job> JobReader::get(JobId id) {
  return ask([&]() -> Result<Job> {
    Rows rows = get_.query(id);
    if (!rows.next()) return make_error(ErrorCode::kUnknownJob, "there is no job " + std::to_string(id));
    return read_job(rows);
  });
}

Result<std::vector<Job>> JobReader::list(const JobStore::Filter& filter) {
  return ask([&]() -> Result<std::vector<Job>> {
    std::string sql = "SELECT " + kJobColumns + " FROM job WHERE id<?1";
    if (filter.state) sql += " AND state=?2";
    if (!filter.origin.empty()) sql += " AND origin=?3";
    Statement statement = database_.prepare(sql + " ORDER BY id DESC LIMIT ?4");
    const JobId below = filter.after > 0 ? filter.after : std::numeric_limits<JobId>::max();
    Rows rows = statement.query(below, name_of(filter.state.value_or(JobState::kQueued)), filter.origin,
                                std::clamp(filter.limit, 0, kLongestList));
    std::vector<Job> jobs;
    while (rows.next()) jobs.push_back(read_job(rows));
    return jobs;
  });
}

Result<std::vector<JobEvent>> JobReader::events(JobId id) {
  return ask([&]() -> Result<std::vector<JobEvent>> {
    std::vector<JobEvent> events;
    {
      Rows rows = events_.query(id);
      while (rows.next()) {
        events.push_back({id, rows.integer(0), rows.text(1), time_in(rows, 2), rows.text(3)});
      }
    }
    // Every job has at least its "accepted".
    if (events.empty()) return make_error(ErrorCode::kUnknownJob, "there is no job " + std::to_string(id));
    return events;
  });
}

Result<std::optional<Job>> JobReader::find_by_key(const std::string& key) {
  return ask([&]() -> Result<std::optional<Job>> {
    {
      Rows rows = find_key_.query(key);
      if (rows.next()) return std::optional<Job>(read_job(rows));
    }
    Rows rows = find_remembered_.query(key);
    if (!rows.next()) return std::optional<Job>();
    Job job;
    job.id = rows.integer(0);
    job.request.key = key;
    job.state = job_state_from_name(rows.text(1)).value_or(JobState::kDone);
    job.finished_at = time_in(rows, 2);
    job.output = rows.text(3);
    return std::optional<Job>(std::move(job));
  });
}

Result<bool> JobReader::is_own_output(const std::filesystem::path& output, const std::string& sha256) {
  return ask([&]() -> Result<bool> {
    {
      // Until its rename a job that publishes there again stands before the file that it replaces.
      Rows rows = output_.query(output);
      if (rows.next()) return rows.text(0) == sha256 || rows.text(1) == sha256;
    }
    Rows rows = remembered_output_.query(output);
    return rows.next() && rows.text(0) == sha256;
  });
}

Result<std::vector<Notification>> JobReader::due_notifications(int limit) {
  return ask([&]() -> Result<std::vector<Notification>> {
    std::vector<Notification> due;
    Rows rows = due_.query(clock_.now(), std::clamp(limit, 0, kLongestList));
    while (rows.next()) {
      due.push_back({rows.text(0),
                     {rows.integer(1), rows.integer(2), rows.text(3), time_in(rows, 4), rows.text(5)},
                     static_cast<int>(rows.integer(6))});
    }
    return due;
  });
}

Result<std::optional<UnixMillis>> JobReader::next_notification() {
  return ask([&]() -> Result<std::optional<UnixMillis>> {
    Rows rows = next_due_.query();
    rows.next();
    if (rows.is_null(0)) return std::optional<UnixMillis>();
    return std::optional(time_in(rows, 0));
  });
}

Result<std::optional<UnixMillis>> JobReader::next_ready(UnixMillis suspects_first) {
  return ask([&]() -> Result<std::optional<UnixMillis>> {
    const auto is_there = [](Statement& statement) { return statement.query().next(); };
    const UnixMillis now = clock_.now();
    const auto most_crashes = [&] {  // of the jobs in flight; -1: there are none
      Rows rows = active_.query();
      rows.next();
      return rows.integer(0);
    }();
    if (most_crashes > 0) return std::optional<UnixMillis>();
    const bool suspect = is_there(suspect_);
    if (suspect && most_crashes < 0) return std::optional(now);
    if (is_there(ready_)) {
      if (suspect && now >= suspects_first) return std::optional<UnixMillis>();
      return std::optional(now);
    }
    Rows rows = waiting_.query();
    rows.next();
    if (rows.is_null(0)) return std::optional<UnixMillis>();
    return std::optional(time_in(rows, 0));
  });
}

}  // namespace retouchd::queue
