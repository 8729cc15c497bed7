#include "intake/watched_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace retouchd::intake {
namespace {

std::int64_t nanoseconds(const timespec& time) { return static_cast<std::int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec; }

}  // namespace

Result<UniqueFd> open_folder_beneath(const std::filesystem::path& root, std::string_view relative) {
  UniqueFd folder(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.valid()) return error_from_errno(errno, "cannot open folder " + root.string(), true);
  while (!relative.empty()) {
    const std::size_t slash = relative.find('/');
    const std::string name(relative.substr(0, slash));
    relative.remove_prefix(slash == std::string_view::npos ? relative.size() : slash + 1);
    UniqueFd next(::openat(folder.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!next.valid()) return error_from_errno(errno, "cannot open folder " + name + " below " + root.string(), true);
    folder = std::move(next);
  }
  return folder;
}

Result<FileSnapshot> snapshot_in(int folder_fd, const std::string& name, bool open_it) {
  struct stat info {};
  if (::fstatat(folder_fd, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
    return error_from_errno(errno, "cannot stat " + name, true);
  if (open_it && S_ISREG(info.st_mode)) {
    const UniqueFd file(::openat(folder_fd, name.c_str(), O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC));
    // Without permission to read it, it becomes a job all the same: that job's error report tells the user.
    if (file.valid() && ::fstat(file.get(), &info) != 0) return error_from_errno(errno, "cannot stat " + name, true);
  }
  if (!S_ISREG(info.st_mode)) return make_error(ErrorCode::kInputUnreadable, name + " is not a regular file");
  FileSnapshot snapshot;
  snapshot.identity.device = info.st_dev;
  snapshot.identity.inode = info.st_ino;
  snapshot.identity.size = static_cast<std::uint64_t>(info.st_size);
  snapshot.identity.mtime_ns = nanoseconds(info.st_mtim);
  snapshot.ctime_ns = nanoseconds(info.st_ctim);
  return snapshot;
}

Result<FileSnapshot> snapshot_beneath(const std::filesystem::path& root, std::string_view relative, bool open_it) {
  const auto [folder, name] = split_path(relative);
  auto opened = open_folder_beneath(root, folder);
  if (!opened) return opened.error();
  return snapshot_in(opened->get(), std::string(name), open_it);
}

SplitPath split_path(std::string_view relative) {
  const std::size_t slash = relative.rfind('/');
  if (slash == std::string_view::npos) return {{}, relative};
  return {relative.substr(0, slash), relative.substr(slash + 1)};
}

std::string join_path(std::string_view folder, std::string_view name) {
  std::string joined(folder);
  if (!joined.empty()) joined += '/';
  joined += name;
  return joined;
}

std::string watch_key(std::string_view watch, std::string_view relative, const FileIdentity& identity,
                      const FileIdentity* companion) {
  // File names hold no NUL, so it cannot blur where one part ends.
  std::string text;
  for (const std::string_view part : {watch, relative}) {
    text += part;
    text += '\0';
  }
  text += fmt::format("{} {}", identity.size, identity.mtime_ns);
  if (companion != nullptr) text += fmt::format(" with {} {}", companion->size, companion->mtime_ns);
  return "watch:" + sha256_hex({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
}

}  // namespace retouchd::intake
