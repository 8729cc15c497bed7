#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace retouchd::intake {

/// Where the second picture of a pair lies, given the network's name and the path of the first; always in the same folder. Empty:
/// the network takes single pictures. Threads: must be safe. May answer differently when networks are exchanged.
using CompanionOf = std::function<std::filesystem::path(const std::string& network, const std::filesystem::path& picture)>;

/// Which files of a watched folder belong together: a network that restores pairs wants "room.depth.png" with "room.png".
///
/// Paths are relative to the watched folder. Confined to one thread.
class Pairing {
 public:
  /// Without `companion_of` there are no pairs.
  Pairing(std::string network, CompanionOf companion_of) : network_(std::move(network)), companion_of_(std::move(companion_of)) {}

  /// The second picture that goes with `picture`, there or not; "" where pictures are single.
  [[nodiscard]] std::string companion_of(const std::string& picture) const;

  /// True for a name that makes a file the second picture of some first one: it is no picture of its own.
  [[nodiscard]] bool is_companion(const std::string& path) const { return !pictures_of(path).empty(); }

  /// The first pictures that `companion` would go with, there or not: one for each picture suffix that fits, in small letters, in
  /// capitals, and as the companion's own. Empty when it is none.
  [[nodiscard]] std::vector<std::string> pictures_of(const std::string& companion) const;

 private:
  std::string network_;
  CompanionOf companion_of_;
};

}  // namespace retouchd::intake
