#include "queue/file_placement.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <string>
#include <system_error>

#include "base/file.h"

namespace retouchd::queue {
namespace {

Result<void> make_temporary_folder(const std::filesystem::path& folder) {
  if (auto made = make_directories_synced(folder.parent_path()); !made) return made;
  if (::mkdir(folder.c_str(), 0777) == 0) return {};
  if (errno != EEXIST) return error_from_errno(errno, "cannot make folder " + folder.string(), false);
  struct stat info {};
  if (::lstat(folder.c_str(), &info) == 0 && !S_ISDIR(info.st_mode)) {
    return make_error(ErrorCode::kOutputDenied, folder.string() + " stands where a folder is needed");
  }
  return {};
}

/// rename() that fails with EEXIST instead of replacing; errno value, 0 on success.
int rename_keeping(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (::syscall(SYS_renameat2, AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return errno;
  // This file system cannot; a hard link also refuses an existing name.
  if (::link(from.c_str(), to.c_str()) == 0) return ::unlink(from.c_str()) == 0 ? 0 : errno;
  if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL) return errno;
  // Nor hard links (FAT, some FUSE): look, then rename; only a writer in between could be lost.
  struct stat info {};
  if (::lstat(to.c_str(), &info) == 0) return EEXIST;
  return ::rename(from.c_str(), to.c_str()) == 0 ? 0 : errno;
}

std::filesystem::path temporary_named(const std::filesystem::path& target, const std::string& name) {
  return target.parent_path() / kTemporaryFolder / (std::to_string(::getpid()) + "." + name);
}

/// "<process>.<rest>" whose process is gone, or is this one.
bool is_abandoned(const std::string& name) {
  pid_t process = 0;
  const char* const end = name.data() + name.size();
  const auto [rest, failure] = std::from_chars(name.data(), end, process);
  if (failure != std::errc{} || process <= 0 || rest == end || *rest != '.') return false;
  return process == ::getpid() || (::kill(process, 0) != 0 && errno == ESRCH);
}

}  // namespace

std::filesystem::path temporary_for(const std::filesystem::path& target, JobId job, std::int64_t epoch) {
  return temporary_named(target, std::to_string(job) + "." + std::to_string(epoch));
}

std::filesystem::path unique_temporary_for(const std::filesystem::path& target) {
  static std::atomic<std::uint64_t> next{0};
  return temporary_named(target, std::to_string(next.fetch_add(1)) + ".aux");
}

Result<UniqueFd> make_temporary(const std::filesystem::path& temporary) {
  const std::filesystem::path folder = temporary.parent_path();
  constexpr int kTries = 100;
  for (int tries = 1;; ++tries) {
    if (auto made = make_temporary_folder(folder); !made) return made.error();
    auto file = create_file(temporary);
    if (file) return file;
    // Another job may have found the folder empty and removed it between our two steps (and a third one made it anew since, so
    // that looking whether it is there proves nothing). That shows as "denied"; where it is the truth, trying again is cheap.
    if (tries < kTries && file.error().code == ErrorCode::kOutputDenied) continue;
    remove_temporary(temporary);
    return file;
  }
}

Result<void> write_temporary(const std::filesystem::path& temporary, std::span<const std::uint8_t> data) {
  if (auto made = make_temporary(temporary); !made) return made.error();
  auto written = write_file_synced(temporary, data);
  if (!written) remove_temporary(temporary);
  return written;
}

void remove_temporary(const std::filesystem::path& temporary) noexcept {
  ::unlink(temporary.c_str());
  const auto folder = temporary.parent_path();
  if (folder.filename() == kTemporaryFolder) ::rmdir(folder.c_str());
}

void remove_abandoned(const std::filesystem::path& folder) noexcept {
  std::error_code ignored;
  const auto temporaries = folder / kTemporaryFolder;
  for (auto entry = std::filesystem::directory_iterator(temporaries, ignored); entry != std::filesystem::directory_iterator();
       entry.increment(ignored)) {
    if (is_abandoned(entry->path().filename().native())) ::unlink(entry->path().c_str());
  }
  ::rmdir(temporaries.c_str());
}

Result<void> place_file(const std::filesystem::path& temporary, const std::filesystem::path& target, Existing existing) {
  int failure = 0;
  if (existing == Existing::kKeep) {
    failure = rename_keeping(temporary, target);
  } else if (::rename(temporary.c_str(), target.c_str()) != 0) {
    failure = errno;
  }
  if (failure == EEXIST) {
    return make_error(ErrorCode::kOutputExists, target.string() + " exists and was not written by retouchd");
  }
  if (failure != 0) return error_from_errno(failure, "cannot rename a file to " + target.string(), false);
  // The temporary's folder is left unsynced: another job may have removed it by now, and a name that comes back after a power cut
  // harms nobody.
  return sync_directory(target.parent_path());
}

}  // namespace retouchd::queue
