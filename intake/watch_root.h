#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace retouchd::intake {

/// The watched folder itself: it may come late, go, be replaced, or be the place of a file system that is not mounted.
///
/// Confined to one thread.
class WatchRoot {
 public:
  enum class State {
    kThere,     ///< the same folder as before
    kReplaced,  ///< there, but seen for the first time, or another folder than before
    kAway,      ///< cannot be read, or its file system is not mounted
  };

  struct Look {
    State state = State::kAway;
    std::string reason;  ///< with kAway: a sentence
  };

  explicit WatchRoot(std::filesystem::path path) : path_(std::move(path)) {}

  [[nodiscard]] Look look();

 private:
  [[nodiscard]] Look away(std::string reason);

  std::filesystem::path path_;
  std::uint64_t device_ = 0;
  std::uint64_t inode_ = 0;
  bool there_ = false;
  bool mounted_ = false;  ///< the folder was once the root of its own file system
};

}  // namespace retouchd::intake
