#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace retouchd::intake {

/// Which entries of a watched folder are passed over: the traces of programs that copy, index and synchronise, our own side
/// files, and what the user lists in `.retouchdignore` at the top of the watched folder.
///
/// That file holds one shell glob per line, case-sensitive; empty lines and lines that begin with # do not count. A glob without
/// slash is compared with the name of every file and folder, one with a slash with the whole path below the watched folder
/// (* does not cross a slash). A slash at the end restricts it to folders. What lies in a passed-over folder is passed over too.
class IgnoreRules {
 public:
  static constexpr std::string_view kFileName = ".retouchdignore";

  IgnoreRules() = default;  ///< only the built-in rules
  /// The built-in rules and those in `text`, the content of a .retouchdignore file.
  explicit IgnoreRules(std::string_view text);

  /// `path` is below the watched folder, without leading slash; its folders were asked about before.
  [[nodiscard]] bool ignores_file(std::string_view path) const;
  [[nodiscard]] bool ignores_folder(std::string_view path) const;

 private:
  struct Rule {
    std::string glob;
    bool whole_path = false;
    bool folders_only = false;
  };

  [[nodiscard]] bool listed(std::string_view path, bool folder) const;

  std::vector<Rule> rules_;
};

}  // namespace retouchd::intake
