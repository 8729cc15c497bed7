#include "intake/inotify.h"

#include <sys/inotify.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <optional>

#include "intake/watched_file.h"

namespace retouchd::intake {
namespace {

constexpr std::uint32_t kMask = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_ATTRIB | IN_DELETE_SELF |
                                IN_MOVE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK;
constexpr std::size_t kBufferSize = std::size_t{64} << 10U;

std::optional<Inotify::Event::Kind> kind_of(std::uint32_t mask) {
  using Kind = Inotify::Event::Kind;
  if ((mask & IN_ISDIR) != 0) {
    if ((mask & (IN_CREATE | IN_MOVED_TO)) != 0) return Kind::kFolderCreated;
    if ((mask & IN_MOVED_FROM) != 0) return Kind::kFolderMovedAway;
    return std::nullopt;
  }
  if ((mask & (IN_CLOSE_WRITE | IN_MOVED_TO)) != 0) return Kind::kFileClosed;
  if ((mask & IN_CREATE) != 0) return Kind::kFileCreated;
  if ((mask & IN_ATTRIB) != 0) return Kind::kFileTouched;
  return std::nullopt;
}

}  // namespace

Result<Inotify> Inotify::open(std::filesystem::path root) {
  UniqueFd fd(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!fd.valid()) return make_error(ErrorCode::kBusy, std::string("cannot use inotify: ") + std::strerror(errno));
  return Inotify(std::move(root), std::move(fd));
}

Result<void> Inotify::watch(const std::string& folder) {
  const std::filesystem::path path = folder.empty() ? root_ : root_ / folder;
  // The root may be a symbolic link, nothing below it.
  const int descriptor = ::inotify_add_watch(fd_.get(), path.c_str(), folder.empty() ? kMask : kMask | IN_DONT_FOLLOW);
  if (descriptor < 0 && (errno == ENOSPC || errno == ENOMEM)) {
    return make_error(ErrorCode::kBusy, "no inotify watch left for " + path.string() + " (fs.inotify.max_user_watches)");
  }
  if (descriptor < 0) return error_from_errno(errno, "cannot watch " + path.string(), true);
  folders_[descriptor] = folder;  // the same descriptor under a new name when the folder was renamed
  return {};
}

void Inotify::unwatch(std::string_view folder) {
  const std::string below = std::string(folder) + '/';
  for (auto entry = folders_.begin(); entry != folders_.end();) {
    const bool gone = entry->second == folder || entry->second.starts_with(below);
    if (gone) ::inotify_rm_watch(fd_.get(), entry->first);
    entry = gone ? folders_.erase(entry) : std::next(entry);
  }
}

Result<std::vector<Inotify::Event>> Inotify::read() {
  alignas(inotify_event) std::array<char, kBufferSize> buffer;
  ssize_t got = 0;
  do {
    got = ::read(fd_.get(), buffer.data(), buffer.size());
  } while (got < 0 && errno == EINTR);
  std::vector<Event> events;
  if (got < 0 && errno == EAGAIN) return events;
  if (got < 0) return error_from_errno(errno, "cannot read inotify events of " + root_.string(), true);

  for (std::size_t offset = 0; offset + sizeof(inotify_event) <= static_cast<std::size_t>(got);) {
    inotify_event event{};
    std::memcpy(&event, buffer.data() + offset, sizeof event);
    const char* name = buffer.data() + offset + sizeof event;
    offset += sizeof event + event.len;

    if ((event.mask & IN_Q_OVERFLOW) != 0) {
      events.push_back({Event::Kind::kOverflow, {}});
      continue;
    }
    const auto folder = folders_.find(event.wd);
    if (folder == folders_.end()) continue;  // a folder that was unwatched meanwhile
    if ((event.mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED)) != 0) {
      if (folder->second.empty()) events.push_back({Event::Kind::kRootLost, {}});
      // A subfolder that moved reports that through its parents; one that is gone needs no watch.
      if ((event.mask & IN_IGNORED) != 0) folders_.erase(folder);
      continue;
    }
    const auto kind = kind_of(event.mask);
    if (kind && event.len > 0) events.push_back({*kind, join_path(folder->second, name)});
  }
  return events;
}

bool lacks_notifications(const std::filesystem::path& folder) {
  constexpr std::array<std::uint32_t, 11> kSilent{
      0x6969,      // NFS
      0xFF534D42,  // CIFS
      0xFE534D42,  // SMB2
      0x517B,      // SMB
      0x65735546,  // FUSE (sshfs, virtiofs, Docker Desktop, rclone, ...)
      0x01021997,  // 9p
      0x00C36400,  // Ceph
      0x5346414F,  // AFS
      0x786F4256,  // VirtualBox shared folders
      0x0BD00BD0,  // Lustre
      0x794C7630,  // overlayfs, written to from outside the container
  };
  struct statfs info {};
  if (::statfs(folder.c_str(), &info) != 0) return false;
  return std::find(kSilent.begin(), kSilent.end(), static_cast<std::uint32_t>(info.f_type)) != kSilent.end();
}

}  // namespace retouchd::intake
