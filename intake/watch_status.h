#pragma once

#include <cstdint>
#include <string>

namespace retouchd::intake {

/// What one watched folder is doing, for metrics and the status page.
struct WatchStatus {
  std::string name;
  bool up = false;               ///< the folder is there and is being watched
  bool polling = false;          ///< scanned often: the file system does not notify of all changes
  std::uint64_t pending = 0;     ///< files seen, not yet complete, or complete and not yet taken by the store
  std::uint64_t accepted = 0;    ///< became jobs since the start
  std::uint64_t ignored = 0;     ///< files there that are no pictures or that a rule passes over
  std::uint64_t duplicates = 0;  ///< versions of files that had been jobs before
};

}  // namespace retouchd::intake
