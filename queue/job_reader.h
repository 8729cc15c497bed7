#pragma once

#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "queue/job.h"
#include "queue/job_store.h"
#include "queue/sqlite_database.h"

namespace retouchd::queue {

/// The store's questions, on a connection of their own: they see what is committed and never wait for a commit in progress.
/// Threads: safe; one question at a time.
class JobReader {
 public:
  /// Throws SqliteError.
  JobReader(const std::filesystem::path& file, const Clock& clock);

  [[nodiscard]] Result<Job> get(JobId id);
  [[nodiscard]] Result<std::vector<Job>> list(const JobStore::Filter& filter);
  [[nodiscard]] Result<std::vector<JobEvent>> events(JobId id);
  [[nodiscard]] Result<std::optional<Job>> find_by_key(const std::string& key);
  [[nodiscard]] Result<bool> is_own_output(const std::filesystem::path& output, const std::string& sha256);
  [[nodiscard]] Result<std::vector<Notification>> due_notifications(int limit);
  [[nodiscard]] Result<std::optional<UnixMillis>> next_notification();
  /// As JobStore::next_ready(); from `suspects_first` on, suspects are claimed before the others.
  [[nodiscard]] Result<std::optional<UnixMillis>> next_ready(UnixMillis suspects_first);

 private:
  /// Runs `question` alone; SqliteError becomes an Error.
  template <class Question>
  auto ask(Question question) -> std::invoke_result_t<Question>;

  const std::filesystem::path file_;
  const Clock& clock_;
  std::mutex mutex_;  // guards the rest
  Database database_;
  Statement get_, events_, find_key_, find_remembered_, output_, remembered_output_;
  Statement ready_, suspect_, active_, waiting_;
  Statement due_, next_due_;
};

}  // namespace retouchd::queue
