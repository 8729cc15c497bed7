#pragma once

#include <filesystem>

#include "base/clock.h"
#include "config/config.h"
#include "queue/job_store.h"

namespace retouchd::daemon {

/// Forgets jobs that ended longer ago than `retention` says, and removes previews and results of submitted bytes of that age from
/// the state directory. Logs what cannot be done; the next call tries again. Blocks on the disk.
void forget_old(queue::JobStore& store, const config::Retention& retention, const std::filesystem::path& state_dir,
                const Clock& clock);

}  // namespace retouchd::daemon
