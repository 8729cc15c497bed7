#include "intake/watch_root.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/file.h"

namespace retouchd::intake {

WatchRoot::Look WatchRoot::away(std::string reason) {
  there_ = false;
  return {State::kAway, std::move(reason)};
}

WatchRoot::Look WatchRoot::look() {
  const UniqueFd folder(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK));
  struct stat info {};
  struct stat parent {};
  if (!folder.valid() || ::fstat(folder.get(), &info) != 0 || ::fstatat(folder.get(), "..", &parent, 0) != 0) {
    return away(path_.string() + ": " + std::strerror(errno));
  }
  const bool mounted = info.st_dev != parent.st_dev;
  if (mounted_ && !mounted) return away(path_.string() + " is no longer mounted");
  const bool same = there_ && device_ == info.st_dev && inode_ == info.st_ino;
  device_ = info.st_dev;
  inode_ = info.st_ino;
  there_ = true;
  mounted_ = mounted;
  return {same ? State::kThere : State::kReplaced, {}};
}

}  // namespace retouchd::intake
