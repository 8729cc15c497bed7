#pragma once

#include "queue/job_transitions.h"
#include "queue/sqlite_database.h"

namespace retouchd::queue {

/// Ends or requeues every job that a dead process left running or publishing, in one transaction:
///
///   publishing, the target has the recorded sha256     -> done
///   publishing, the temporary has it and may be placed -> renamed now, done
///   otherwise                                          -> queued with crashes + 1, or failed (kCrashedDaemon) at `max_crashes`
///
/// Unfinished files beside their outputs are removed. May be interrupted and repeated at any point. Throws SqliteError.
/// Nobody else may use the store meanwhile; `transitions` keeps the changes for the caller to take.
void recover_jobs(Database& database, JobTransitions& transitions, int max_crashes);

}  // namespace retouchd::queue
