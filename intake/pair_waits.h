#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "base/clock.h"
#include "intake/watched_file.h"

namespace retouchd::intake {

/// Complete first pictures of pairs that wait for their second ones, and which second ones are complete.
///
/// No picture waits for ever: after `patience` its turn comes, and its job will say what is missing. Nothing here proves that a
/// file is complete; SettleTracker does, for each of the two alone.
///
/// Pure logic: the caller brings snapshots and asks. Confined to one thread.
class PairWaits {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  struct Waiting {
    std::string picture;
    FileSnapshot snapshot;
  };

  /// At most `capacity` pictures wait, and as many companions are remembered.
  PairWaits(std::chrono::milliseconds patience, std::size_t capacity, const Clock& clock)
      : patience_(patience), capacity_(capacity), clock_(clock) {}

  /// The companion was found to be complete in this state. What is forgotten for want of room has to settle once more.
  void remember_complete(const std::string& companion, const FileSnapshot& snapshot);
  [[nodiscard]] bool is_complete(const std::string& companion, const FileSnapshot& snapshot) const;

  /// Makes a complete picture wait; one that waits in the same state goes on waiting. False, and nothing is done, when it is new
  /// and there is no room.
  [[nodiscard]] bool wait(const std::string& picture, const FileSnapshot& snapshot);
  [[nodiscard]] bool is_waiting(const std::string& picture, const FileSnapshot& snapshot) const;
  /// Ends the wait. True when the picture waited in this state; a wait in another state is void and ends, too.
  bool release(const std::string& picture, const FileSnapshot& snapshot);

  /// Takes out a picture whose patience is over.
  [[nodiscard]] std::optional<Waiting> take_overdue();
  /// When the next patience is over; nullopt when nothing waits.
  [[nodiscard]] std::optional<TimePoint> next_due() const;

  void clear();

  [[nodiscard]] std::size_t size() const { return waiting_.size(); }
  [[nodiscard]] bool full() const { return waiting_.size() >= capacity_; }

 private:
  struct Wait {
    FileSnapshot snapshot;
    TimePoint until;
  };
  using Waits = std::map<std::string, Wait>;

  void end(Waits::iterator wait);

  std::chrono::milliseconds patience_;
  std::size_t capacity_;
  const Clock& clock_;
  std::map<std::string, FileSnapshot> complete_;
  Waits waiting_;
  std::set<std::pair<TimePoint, std::string>> by_due_;
};

}  // namespace retouchd::intake
