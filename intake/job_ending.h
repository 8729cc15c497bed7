#pragma once

#include "base/result.h"
#include "config/config.h"
#include "queue/job.h"

// What is left to do in the folders when a job has ended.
namespace retouchd::intake {

/// Does what the end of `job` asks for: a failure leaves its report; success removes the report of an earlier failure and keeps,
/// moves or deletes the original, both files of a pair, as `watch` says (null: keeps it; so does a watch whose folder is another
/// one by now). Any other state: nothing. Again is harmless.
///
/// No report is written when the source has changed since: that version has a job of its own, which may be done already.
///
/// Threads: safe. Blocks while files are written.
[[nodiscard]] Result<void> finish_job(const config::Watch* watch, const queue::Job& job);

/// Makes up at start for what was not done because the process died at the end of `job`: reports that are missing, and originals
/// to be moved. Nothing is deleted on such old evidence, and a report that somebody removed long ago does not come back.
[[nodiscard]] Result<void> make_up_for(const config::Watch& watch, const queue::Job& job, UnixMillis now);

}  // namespace retouchd::intake
