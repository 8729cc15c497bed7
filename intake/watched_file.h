#pragma once

#include <compare>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/file.h"
#include "base/result.h"

// Files below a watched folder are named by their path relative to it, as bytes ("2024/a.jpg"; "" is the folder itself), and are
// reached from it folder by folder without following a symbolic link: nothing in the folder can point intake elsewhere.
namespace retouchd::intake {

/// Everything about a file that tells whether it is still being written.
struct FileSnapshot {
  FileIdentity identity;
  std::int64_t ctime_ns = 0;

  friend bool operator==(const FileSnapshot&, const FileSnapshot&) = default;
};

/// Opens the folder `relative` below `root` for reading. `root` itself may be a symbolic link, nothing below it: those and
/// files give kInputUnreadable or kInputMissing.
[[nodiscard]] Result<UniqueFd> open_folder_beneath(const std::filesystem::path& root, std::string_view relative);

/// The state of the regular file `name` in an open folder. Anything else is kInputUnreadable, no such name kInputMissing.
/// `open_it` opens the file as well, which makes network file systems ask their server instead of their cache.
[[nodiscard]] Result<FileSnapshot> snapshot_in(int folder_fd, const std::string& name, bool open_it);

/// The same for a path below `root`.
[[nodiscard]] Result<FileSnapshot> snapshot_beneath(const std::filesystem::path& root, std::string_view relative, bool open_it);

/// "a/b.jpg" -> {"a", "b.jpg"}; "b.jpg" -> {"", "b.jpg"}.
struct SplitPath {
  std::string_view folder;
  std::string_view name;
};
[[nodiscard]] SplitPath split_path(std::string_view relative);
[[nodiscard]] std::string join_path(std::string_view folder, std::string_view name);

/// The idempotency key of one version of one file: a job is made once for it, also over restarts.
///
/// Made of watch, path, size and mtime. Device and inode numbers are left out although FileIdentity holds them: both may change
/// when a file system is mounted again (network shares, LVM, btrfs, FAT). So is the network: neither a reboot nor another
/// default network may restore a whole archive anew (`retouch retry` and `touch` do that for the pictures one wants).
///
/// A second picture counts with its size and mtime, so a pair of which either file changes is a new version.
[[nodiscard]] std::string watch_key(std::string_view watch, std::string_view relative, const FileIdentity& identity,
                                    const FileIdentity* companion = nullptr);

}  // namespace retouchd::intake
