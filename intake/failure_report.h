#pragma once

#include <string>

#include "base/result.h"
#include "queue/job.h"

// What a failed job leaves for whoever looks into the output folder: a short text file beside the place of the result.
namespace retouchd::intake {

/// The report's text: file, reason, what to do, how to try again.
[[nodiscard]] std::string failure_report(const queue::Job& job);

/// Writes the report of a failed job to its `error_report`; nothing when that is empty. The file appears whole or not at all,
/// and replaces an older report but no other file (kOutputExists).
[[nodiscard]] Result<void> write_failure_report(const queue::Job& job);

/// Removes the report of an earlier failure of the same picture; nothing when there is none, or when the file is not a report.
[[nodiscard]] Result<void> remove_failure_report(const queue::Job& job);

}  // namespace retouchd::intake
