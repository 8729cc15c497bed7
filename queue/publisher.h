#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>

#include "base/result.h"
#include "queue/job.h"
#include "queue/job_store.h"

namespace retouchd::queue {

/// Puts results where they belong so that each appears whole and exactly once, whatever dies when:
///
///   make folders -> write .retouchd-tmp/<process>.<job>.<epoch> beside the target -> fsync, close
///   -> store: publishing (path, temp, sha256) committed -> rename -> fsync the folder -> store: done
///
/// A file that stands at the target is replaced only when retouchd wrote it (the store knows its sha256) or the job says
/// `overwrite`; otherwise kOutputExists. After any failure the temporary file is gone and the claim still stands: fail or retry
/// the job (kBusy: another job is publishing there), or drop it when the claim was lost (kConflict). Threads: safe; the jobs must
/// differ.
class Publisher {
 public:
  explicit Publisher(JobStore& store) : store_(store) {}

  /// Writes the result into the open, empty file and says its details (a JSON object). What it says last stands.
  using Write = std::function<Result<std::string>(int fd)>;

  /// Publishes what `write` writes as the result of `job` at `target` and completes the job. An error of `write` is returned.
  [[nodiscard]] Result<void> publish(const Job& job, const std::filesystem::path& target, const Write& write);

  /// Atomic write of a file that no job's end depends on: previews, error reports. Replaces what is there.
  [[nodiscard]] static Result<void> write_atomically(const std::filesystem::path& target, std::span<const std::uint8_t> data);

 private:
  JobStore& store_;
};

}  // namespace retouchd::queue
