#include "intake/ignore_rules.h"

#include <fnmatch.h>

#include <algorithm>
#include <array>
#include <cctype>

namespace retouchd::intake {
namespace {

constexpr std::array<std::string_view, 8> kIgnoredEndings{".part",     ".partial", ".tmp",       ".crdownload",
                                                          ".filepart", "~",        ".error.txt", ".preview.jpg"};
constexpr std::array<std::string_view, 2> kIgnoredFiles{"thumbs.db", "desktop.ini"};
// Thumbnails and recycle bins of network storage and Windows.
constexpr std::array<std::string_view, 3> kIgnoredFolders{"@eadir", "#recycle", "$recycle.bin"};

std::string lower_case(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

std::string_view last_component(std::string_view path) { return path.substr(path.rfind('/') + 1); }

template <class Range>
bool contains(const Range& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

IgnoreRules::IgnoreRules(std::string_view text) {
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    while (!line.empty() && (line.back() == ' ' || line.back() == '\t' || line.back() == '\r')) line.remove_suffix(1);
    if (line.empty() || line.front() == '#') continue;
    Rule rule;
    if (line.back() == '/') {
      rule.folders_only = true;
      line.remove_suffix(1);
    }
    rule.whole_path = line.find('/') != std::string_view::npos;
    if (!line.empty() && line.front() == '/') line.remove_prefix(1);
    if (line.empty()) continue;
    rule.glob = line;
    rules_.push_back(std::move(rule));
  }
}

bool IgnoreRules::listed(std::string_view path, bool folder) const {
  const std::string whole(path);
  const std::string name(last_component(path));
  return std::any_of(rules_.begin(), rules_.end(), [&](const Rule& rule) {
    if (rule.folders_only && !folder) return false;
    return ::fnmatch(rule.glob.c_str(), (rule.whole_path ? whole : name).c_str(), FNM_PATHNAME) == 0;
  });
}

bool IgnoreRules::ignores_file(std::string_view path) const {
  const std::string name = lower_case(last_component(path));
  // A leading dot covers the temporary names of rsync, Syncthing and Nextcloud, macOS's "._name" and our .retouchd-tmp; a leading
  // tilde those of office programs and of Syncthing on Windows.
  if (name.empty() || name.front() == '.' || name.front() == '~' || contains(kIgnoredFiles, name)) return true;
  if (std::any_of(kIgnoredEndings.begin(), kIgnoredEndings.end(),
                  [&](std::string_view ending) { return name.ends_with(ending); })) {
    return true;
  }
  return listed(path, false);
}

bool IgnoreRules::ignores_folder(std::string_view path) const {
  const std::string name = lower_case(last_component(path));
  if (name.empty() || name.front() == '.' || contains(kIgnoredFolders, name)) return true;
  return listed(path, true);
}

}  // namespace retouchd::intake
