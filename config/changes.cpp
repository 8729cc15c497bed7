#include "config/changes.h"

#include <algorithm>

#include "config/keys.h"

namespace retouchd::config {
namespace {

bool is_same(const Watch& a, const Watch& b) {
  return std::all_of(watch_keys().begin(), watch_keys().end(), [&](const auto& key) { return key.get(a) == key.get(b); });
}

}  // namespace

std::vector<std::string> needs_restart(const Config& old, const Config& now) {
  std::vector<std::string> names;
  for (const auto& key : config_keys()) {
    if (!key.reloadable && key.get(old) != key.get(now)) names.push_back(key.path);
  }
  return names;
}

std::vector<std::string> changed_keys(const Config& old, const Config& now) {
  std::vector<std::string> names;
  for (const auto& key : config_keys()) {
    if (key.get(old) != key.get(now)) names.push_back(key.path);
  }
  if (!std::equal(old.watch.begin(), old.watch.end(), now.watch.begin(), now.watch.end(), is_same)) names.emplace_back("watch");
  return names;
}

}  // namespace retouchd::config
