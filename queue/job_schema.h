#pragma once

#include <filesystem>
#include <memory>

#include "base/result.h"
#include "queue/sqlite_database.h"

namespace retouchd::queue {

/// Opens the job store's file with the connection that will write: creates it (mode 0600) and its tables when it is new,
/// otherwise checks that it is ours, of a version we know, and not damaged.
///
/// Errors: kStoreFailed naming the file, the reason and what to do (not a database, another program's, newer schema, damaged,
/// no permission, network file system); kDiskFull.
[[nodiscard]] Result<std::unique_ptr<Database>> open_job_database(const std::filesystem::path& file);

}  // namespace retouchd::queue
