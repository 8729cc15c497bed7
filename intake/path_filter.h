#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "intake/ignore_rules.h"

namespace retouchd::intake {

/// Which paths of one watched folder may be pictures to restore: those with a picture's suffix, outside of excluded folders, that
/// no rule ignores. Paths are relative to the watched folder.
///
/// Confined to one thread.
class PathFilter {
 public:
  /// `excluded`: absolute folders that are never entered (results, moved originals). Symbolic links on the way to them, or to
  /// the watched folder, do not hide that one lies in the other. Call refresh() before the first question.
  PathFilter(std::filesystem::path root, std::vector<std::filesystem::path> excluded);

  /// Looks anew where the excluded folders are, and reads `.retouchdignore`; without one only the built-in rules count. On an
  /// error (it cannot be read, or is longer than 1 MiB) they do, too.
  [[nodiscard]] Result<void> refresh();

  /// The folders above were asked about before.
  [[nodiscard]] bool wants_folder(std::string_view folder) const;
  [[nodiscard]] bool wants_file(std::string_view path) const;
  /// The same of a file and all the folders on the way to it.
  [[nodiscard]] bool reaches_file(std::string_view path) const;

 private:
  std::filesystem::path root_;
  std::vector<std::filesystem::path> excluded_;
  std::vector<std::string> excluded_below_;  ///< relative
  IgnoreRules rules_;
};

}  // namespace retouchd::intake
