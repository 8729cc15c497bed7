#pragma once

#include <dirent.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace retouchd::intake {

/// A walk through a tree of folders in small steps, so that a large tree does not hold up its thread. Keeps in memory the
/// names of the folders still to read, no files. Symbolic links, devices, sockets and FIFOs are not reported.
///
/// Confined to one thread. The visitor must outlive the scan.
class TreeScan {
 public:
  struct Visitor {
    /// A folder (relative path, "" being the root) is about to be read; false passes it over.
    std::function<bool(const std::string& folder)> enter;
    /// A file; `folder_fd` is its open folder. A name whose kind the file system does not tell is reported as well.
    std::function<void(const std::string& folder, const std::string& name, int folder_fd)> file;
  };

  /// Scans `folder` (relative to `root`), and what is below it when `recursive`.
  TreeScan(std::filesystem::path root, std::string folder, bool recursive, const Visitor& visitor);

  /// Looks at up to `entries` entries. Returns false when the scan is at its end.
  [[nodiscard]] bool step(int entries);

  /// True when it began at the root.
  [[nodiscard]] bool whole() const noexcept { return whole_; }

 private:
  struct CloseFolder {
    void operator()(DIR* folder) const noexcept { ::closedir(folder); }
  };

  [[nodiscard]] bool open_next();  ///< false: no folder left

  std::filesystem::path root_;
  std::string first_;
  bool recursive_;
  bool whole_;
  const Visitor& visitor_;
  std::vector<std::string> todo_;
  std::string folder_;
  std::unique_ptr<DIR, CloseFolder> open_;
};

}  // namespace retouchd::intake
