#include "intake/originals.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <vector>

#include "intake/watched_file.h"

namespace retouchd::intake {
namespace {

constexpr int kNamesTried = 1'000;

/// Device numbers may change when a file system is mounted again; the rest does not.
bool same_version(const FileIdentity& a, const FileIdentity& b) {
  return a.inode == b.inode && a.size == b.size && a.mtime_ns == b.mtime_ns;
}

/// Renames without ever replacing; 0 or errno.
int rename_to_free_name(int from, const std::string& name, int to, const std::string& target) {
  if (::syscall(SYS_renameat2, from, name.c_str(), to, target.c_str(), RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return errno;
  // Some file systems cannot do that in one call, but they can refuse a link.
  if (::linkat(from, name.c_str(), to, target.c_str(), 0) != 0) return errno;
  return ::unlinkat(from, name.c_str(), 0) == 0 ? 0 : errno;
}

/// "a.jpg" -> "a.jpg", "a.2.jpg", "a.3.jpg", ...
std::string numbered(const std::string& name, int number) {
  if (number == 1) return name;
  const std::filesystem::path path(name);
  return fmt::format("{}.{}{}", path.stem().string(), number, path.extension().string());
}

/// Renames to the first free numbered name; `target` receives it.
int rename_numbered(int from, const std::string& name, int to, const std::string& wanted, std::string& target) {
  for (int number = 1; number <= kNamesTried; ++number) {
    target = numbered(wanted, number);
    const int error = rename_to_free_name(from, name, to, target);
    if (error != EEXIST) return error;
  }
  return EEXIST;
}

Error changed(const std::filesystem::path& path) {
  return make_error(ErrorCode::kInputChanged, path.string() + " changed after it was read; it stays where it is");
}

/// Looks at the file that was taken to `target`; puts it back when it is not the version that was restored.
Result<void> keep_if_restored(int from, const std::string& name, int to, const std::string& target, const FileIdentity& restored,
                              const std::filesystem::path& shown) {
  const auto taken = snapshot_in(to, target, false);
  if (taken && same_version(taken->identity, restored)) return {};
  if (const int error = rename_to_free_name(to, target, from, name); error != 0) {
    return error_from_errno(error, "cannot put back " + shown.string() + " from " + target, false);
  }
  return changed(shown);
}

Result<void> copy_content(int from, int to, std::uint64_t size, const std::filesystem::path& shown) {
  std::vector<char> buffer(std::size_t{1} << 20U);
  std::uint64_t copied = 0;
  while (true) {
    const ssize_t got = ::read(from, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return error_from_errno(errno, "cannot read " + shown.string(), true);
    if (got == 0) break;
    for (ssize_t put = 0; put < got;) {
      const ssize_t written = ::write(to, buffer.data() + put, static_cast<std::size_t>(got - put));
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return error_from_errno(errno, "cannot copy " + shown.string(), false);
      put += written;
    }
    copied += static_cast<std::uint64_t>(got);
  }
  if (copied != size) return changed(shown);
  return {};
}

/// Writes a whole, synced copy with the original's rights and times to the new file `temporary`.
Result<void> copy_file(int from, const std::string& name, int to, const std::string& temporary, const FileIdentity& restored,
                       const std::filesystem::path& shown) {
  const UniqueFd source(::openat(from, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat info {};
  if (!source.valid() || ::fstat(source.get(), &info) != 0) return error_from_errno(errno, "cannot read " + shown.string(), true);
  UniqueFd copy(::openat(to, temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!copy.valid()) return error_from_errno(errno, "cannot copy " + shown.string(), false);
  if (auto copied = copy_content(source.get(), copy.get(), restored.size, shown); !copied) return copied;
  const std::array<timespec, 2> times{info.st_atim, info.st_mtim};
  if (::fchmod(copy.get(), info.st_mode & 0777) != 0 || ::futimens(copy.get(), times.data()) != 0 || ::fsync(copy.get()) != 0 ||
      ::close(copy.release()) != 0) {
    return error_from_errno(errno, "cannot copy " + shown.string(), false);
  }
  return {};
}

Result<void> move_across(const std::filesystem::path& root, const std::string& relative, int from, int to,
                         const FileIdentity& restored, const std::string& wanted, std::string& target) {
  const std::filesystem::path shown = root / relative;
  const std::string name(split_path(relative).name);
  const std::string temporary = fmt::format(".retouchd-move-{}", restored.inode);
  ::unlinkat(to, temporary.c_str(), 0);  // left by a process that died here
  auto copied = copy_file(from, name, to, temporary, restored, shown);
  if (copied) {
    const int error = rename_numbered(to, temporary, to, wanted, target);
    if (error != 0) copied = error_from_errno(error, "cannot move " + shown.string(), false);
  }
  if (!copied) {
    ::unlinkat(to, temporary.c_str(), 0);
    return copied;
  }
  if (::fsync(to) != 0) return error_from_errno(errno, "cannot sync the folder of " + target, false);
  auto deleted = delete_original(root, relative, restored);
  if (!deleted) ::unlinkat(to, target.c_str(), 0);
  return deleted;
}

}  // namespace

Result<std::filesystem::path> move_original(const std::filesystem::path& root, const std::string& relative,
                                            const FileIdentity& restored, const std::filesystem::path& move_to,
                                            const std::string& new_name) {
  const std::filesystem::path shown = root / relative;
  const std::string folder(split_path(relative).folder);
  const std::string name(split_path(relative).name);
  const std::string wanted = new_name.empty() ? name : new_name;
  auto from = open_folder_beneath(root, folder);
  if (!from) return from.error();
  const auto now = snapshot_in(from->get(), name, false);
  if (!now) return now.error();
  if (!same_version(now->identity, restored)) return changed(shown);
  if (auto made = make_directories_synced(folder.empty() ? move_to : move_to / folder); !made) return made.error();
  auto to = open_folder_beneath(move_to, folder);
  if (!to) return to.error();

  std::string target;
  const int error = rename_numbered(from->get(), name, to->get(), wanted, target);
  if (error == EXDEV) {
    if (auto moved = move_across(root, relative, from->get(), to->get(), restored, wanted, target); !moved) return moved.error();
  } else if (error != 0) {
    return error_from_errno(error, "cannot move " + shown.string() + " to " + (move_to / relative).string(), false);
  } else if (auto kept = keep_if_restored(from->get(), name, to->get(), target, restored, shown); !kept) {
    return kept.error();
  }
  const std::filesystem::path moved = move_to / join_path(folder, target);
  if (::fsync(to->get()) != 0 || ::fsync(from->get()) != 0)
    return error_from_errno(errno, "cannot sync the folder of " + moved.string(), false);
  return moved;
}

Result<void> delete_original(const std::filesystem::path& root, const std::string& relative, const FileIdentity& restored) {
  const std::filesystem::path shown = root / relative;
  const auto [folder, name_view] = split_path(relative);
  const std::string name(name_view);
  auto from = open_folder_beneath(root, folder);
  if (!from) return from.error();
  const auto now = snapshot_in(from->get(), name, false);
  if (!now) return now.error();
  if (!same_version(now->identity, restored)) return changed(shown);
  const std::string aside = fmt::format(".retouchd-delete-{}", restored.inode);
  if (const int error = rename_to_free_name(from->get(), name, from->get(), aside); error != 0) {
    return error_from_errno(error, "cannot delete " + shown.string(), false);
  }
  if (auto kept = keep_if_restored(from->get(), name, from->get(), aside, restored, shown); !kept) return kept;
  if (::unlinkat(from->get(), aside.c_str(), 0) != 0) return error_from_errno(errno, "cannot delete " + shown.string(), false);
  if (::fsync(from->get()) != 0 && errno != EINVAL)
    return error_from_errno(errno, "cannot sync the folder of " + shown.string(), false);
  return {};
}

}  // namespace retouchd::intake
