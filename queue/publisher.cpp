#include "queue/publisher.h"

#include <sys/stat.h>

#include <cerrno>
#include <string>

#include "base/file.h"
#include "queue/file_placement.h"

namespace retouchd::queue {
namespace {

/// Leaves no temporary behind, however publishing ends.
class TemporaryGuard {
 public:
  explicit TemporaryGuard(const std::filesystem::path& path) : path_(path) {}
  TemporaryGuard(const TemporaryGuard&) = delete;
  TemporaryGuard& operator=(const TemporaryGuard&) = delete;
  ~TemporaryGuard() { remove_temporary(path_); }

 private:
  const std::filesystem::path& path_;
};

/// The sha256 of what stands at `target` when the job may replace it because it is ours; empty when nothing stands there, or
/// when the job may replace anything. kOutputExists otherwise.
Result<std::string> replaceable(JobStore& store, const Job& job, const std::filesystem::path& target) {
  struct stat info {};
  if (::lstat(target.c_str(), &info) != 0) {
    // ENOTDIR and the like show with a better message when the folders are made.
    return std::string();
  }
  if (S_ISDIR(info.st_mode)) return make_error(ErrorCode::kOutputExists, target.string() + " is a folder");
  if (job.request.overwrite) return std::string();
  if (S_ISREG(info.st_mode)) {
    auto sha256 = sha256_hex_of_file(target);
    if (sha256) {
      auto own = store.is_own_output(target, *sha256);
      if (!own) return own.error();
      if (*own) return sha256;
    }
  }
  return make_error(ErrorCode::kOutputExists, target.string() + " exists and was not written by retouchd, or changed since");
}

}  // namespace

Result<void> Publisher::publish(const Job& job, const std::filesystem::path& target, const Write& write) {
  const Claim claim{job.id, job.epoch};
  auto replaces = replaceable(store_, job, target);
  if (!replaces) return replaces.error();

  const std::filesystem::path temporary = temporary_for(target, job.id, job.epoch);
  auto file = make_temporary(temporary);
  if (!file) return file.error();
  const TemporaryGuard guard(temporary);
  const auto details = write(file->get());
  if (!details) return details.error();
  if (auto finished = finish_file(*std::move(file), temporary); !finished) return finished;
  const auto identity = identify_file(temporary);
  if (!identity) return identity.error();
  auto sha256 = sha256_hex_of_file(temporary);
  if (!sha256) return sha256.error();

  // Committed before the rename: should we die between the two, recovery knows by the hash that the file is this job's result.
  if (auto begun = store_.begin_publishing(claim, {target, temporary, *std::move(sha256), identity->size, *replaces}); !begun) {
    return begun;
  }
  const bool may_replace = job.request.overwrite || !replaces->empty();
  if (auto placed = place_file(temporary, target, may_replace ? Existing::kReplace : Existing::kKeep); !placed) return placed;
  remove_temporary(temporary);  // its folder, too, before anybody hears that the job is done
  return store_.complete(claim, *details);
}

Result<void> Publisher::write_atomically(const std::filesystem::path& target, std::span<const std::uint8_t> data) {
  const std::filesystem::path temporary = unique_temporary_for(target);
  if (auto written = write_temporary(temporary, data); !written) return written;
  const TemporaryGuard guard(temporary);
  return place_file(temporary, target, Existing::kReplace);
}

}  // namespace retouchd::queue
