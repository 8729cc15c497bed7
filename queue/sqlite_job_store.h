#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "queue/job_store.h"
#include "queue/store_observer.h"

namespace retouchd::queue {

struct SqliteJobStoreOptions {
  std::filesystem::path file;            ///< created with mode 0600; its folder must exist
  std::string boot_id;                   ///< names this process; owner of its claims
  int max_crashes = 3;                   ///< a job during which the process died that often is failed with kCrashedDaemon
  std::vector<std::string> notify = {};  ///< kinds of events that get a Notification
  StoreObserver observer = {};
};

/// The job store of a single machine: one SQLite file in WAL mode with synchronous=FULL. One thread owns the only connection
/// that writes and checkpoints and groups what waits into one commit (at most 64 calls, no timer: calls gather while the one
/// before is being synced); a second connection reads. After a failed fsync or on a damaged file every later call is
/// kStoreFailed: leave.
///
/// Opening recovers what a dead process left: `publishing` jobs are finished or redone by their sha256 (publisher.h), `running`
/// ones go back to the queue with crashes + 1; `escalated` ones stay with whoever works on them. A file of an older version is
/// brought up to date first (20 seconds for a million jobs; for that moment it takes twice its space). The caller must hold the
/// state directory's lock.
///
/// Errors at opening: kStoreFailed with file, reason and remedy (not a database, newer schema, no permission, network file
/// system).
[[nodiscard]] Result<std::unique_ptr<JobStore>> open_sqlite_job_store(const SqliteJobStoreOptions& options, const Clock& clock);

}  // namespace retouchd::queue
