#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/file.h"
#include "base/result.h"

namespace retouchd::intake {

/// Notifications about a tree of folders. They are hints: a burst overflows the kernel's list, so a scan has the last word.
///
/// Confined to one thread. Folders are named relative to `root`.
class Inotify {
 public:
  struct Event {
    enum class Kind {
      kFileCreated,    ///< opened for writing, or linked
      kFileClosed,     ///< closed after writing, or moved in
      kFileTouched,    ///< its times or rights changed
      kFolderCreated,  ///< made or moved in: not watched yet
      kFolderMovedAway,
      kRootLost,  ///< the watched folder itself was removed, moved or unmounted
      kOverflow,  ///< events were lost
    };
    Kind kind;
    std::string path;  ///< relative; empty for the last two
  };

  /// Fails with kBusy when the user's inotify instances are used up.
  [[nodiscard]] static Result<Inotify> open(std::filesystem::path root);

  /// Readable when there are events.
  [[nodiscard]] int fd() const noexcept { return fd_.get(); }

  /// Begins to watch a folder, "" being the root; again is harmless. kBusy: no watch left (fs.inotify.max_user_watches);
  /// anything else: the folder is gone or cannot be read.
  [[nodiscard]] Result<void> watch(const std::string& folder);

  /// Forgets a folder and all below it.
  void unwatch(std::string_view folder);

  /// The next events, at most some thousand; empty: none for now. kIoError: the descriptor is broken.
  [[nodiscard]] Result<std::vector<Event>> read();

 private:
  Inotify(std::filesystem::path root, UniqueFd fd) : root_(std::move(root)), fd_(std::move(fd)) {}

  std::filesystem::path root_;
  UniqueFd fd_;
  std::unordered_map<int, std::string> folders_;  ///< by watch descriptor
};

/// True on file systems where changes may come from elsewhere, so that this kernel does not learn of all: NFS, SMB, FUSE, 9p,
/// overlays and their like.
[[nodiscard]] bool lacks_notifications(const std::filesystem::path& folder);

}  // namespace retouchd::intake
