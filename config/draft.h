#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "config/config.h"
#include "config/environment.h"

namespace retouchd::config {

/// Where something stands in a file; line 0: nowhere in particular.
struct Place {
  std::string file;
  int line = 0;
  int column = 0;
};

/// What is known of the values of one Config or Watch beyond the values themselves.
struct Notes {
  Place at;                             ///< of a watch: where its entry begins
  std::map<std::string, Place> places;  ///< by key: where its value stands
  std::set<std::string> refused;        ///< keys whose value was refused: checks that involve them would mislead
};

/// A configuration in the making: files are read into it one after the other, errors are collected, and finish() hands out the
/// whole. Threads: confined to one.
class Draft {
 public:
  /// Merges `text`, which stands in `file`.
  void read(std::string_view text, const std::string& file, const Environment& environment);

  /// Notes an error that concerns a whole file.
  void refuse(const std::string& file, std::string message);
  /// Notes an error at a place.
  void add(Place place, std::string message) { errors_.push_back({std::move(place), std::move(message)}); }

  /// Fills in the defaults and checks what several settings have to do with each other; `file` stands for what was set nowhere.
  [[nodiscard]] Result<Config> finish(const std::string& file, const Environment& environment) &&;

 private:
  friend class FileReader;

  struct Entry {
    Place place;
    std::string message;
  };

  Config config_;
  Notes notes_;
  std::vector<Notes> watch_notes_;  ///< one for each of config_.watch
  std::vector<std::string> files_;  ///< in the order of reading
  std::vector<Entry> errors_;
};

/// Resolves what is unset: folders, endpoints, memory, names of watches.
void fill_in_defaults(Config& config, const Environment& environment);

}  // namespace retouchd::config
