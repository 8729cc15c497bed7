#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "config/environment.h"

namespace retouchd::config {

/// One thing a user can set in `Owner` (Config, or Watch for the entries of `watch`). The tables of keys are the only place that
/// knows a key: the reader, the suggestions, the shipped example, docs/configuration.md and the restart rule follow from them.
template <class Owner>
struct Key {
  /// Which of the values was refused, and why (empty: `allowed` says it all).
  struct Refusal {
    std::size_t index = 0;
    std::string why;
  };

  std::string path;     ///< "tile.size"; of a watch "settle"
  std::string allowed;  ///< "a multiple of 8 from 128 to 2048"
  std::string doc;      ///< one sentence
  bool reloadable = true;
  bool is_list = false;
  bool is_required = false;
  std::string unset;    ///< what holds when it is not set and that is not a plain value; what `auto` means
  std::string example;  ///< in the shipped example, where that is not the default

  /// One text, or as many as there are when is_list. On refusal the owner is left as it was.
  std::function<std::optional<Refusal>(Owner&, const std::vector<std::string>& texts, const Environment&)> set;
  /// What set() would read back as the same.
  std::function<std::vector<std::string>(const Owner&)> get;
};

/// In the order of the example. Immutable; threads: safe.
[[nodiscard]] const std::vector<Key<Config>>& config_keys();
[[nodiscard]] const std::vector<Key<Watch>>& watch_keys();

/// What `section:` is about, for the example and the page; empty for an unknown one.
[[nodiscard]] std::string_view section_doc(std::string_view section);

}  // namespace retouchd::config
