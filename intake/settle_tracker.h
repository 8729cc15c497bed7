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

/// Decides when a file that appeared is complete, without opening it.
///
///   closed by its writer, or moved in    unchanged for `settle`
///   found by a scan (nobody told)        unchanged for `settle_unseen`
///   created before our eyes, not closed  unchanged for 10 x `settle_unseen`: a writer that pauses is not overtaken, and a hard
///                                        link, which nobody ever closes, is not waited for until the end of time
///   empty                                at least 3 x `settle_unseen`: then it is reported rather than awaited for ever
///
/// "Unchanged" means size, mtime, ctime and inode; every change begins the wait anew, and no wait ends without that proof. A file
/// that changed after it was closed has a new writer and counts as found.
///
/// Pure logic: the caller brings snapshots and asks. Confined to one thread.
class SettleTracker {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  enum class Evidence { kOpen, kFound, kClosed };

  struct Waits {
    std::chrono::milliseconds settle;
    std::chrono::milliseconds settle_unseen;
  };

  struct Verdict {
    bool complete = false;  ///< the file is no longer tracked: make it a job
    bool overdue = false;   ///< told once per file: it has been changing for kWarnAfter
  };

  static constexpr std::chrono::minutes kWarnAfter{10};

  /// At most `capacity` files are tracked.
  SettleTracker(Waits waits, std::size_t capacity, const Clock& clock) : waits_(waits), capacity_(capacity), clock_(clock) {}

  /// The file was seen in this state. Returns false, and does nothing, when it is new and the tracker is full.
  bool observe(const std::string& path, const FileSnapshot& snapshot, Evidence evidence);

  /// Notifications were lost: files that seem open may have been closed.
  void doubt_open_files();

  /// A file whose wait is over, or nullopt. Must be followed by confirm() or forget() for it.
  [[nodiscard]] std::optional<std::string> due() const;

  /// When the next wait ends; nullopt when nothing is tracked.
  [[nodiscard]] std::optional<TimePoint> next_due() const;

  /// The state of a due file now.
  [[nodiscard]] Verdict confirm(const std::string& path, const FileSnapshot& snapshot);

  void forget(const std::string& path);
  void clear();

  [[nodiscard]] std::size_t size() const { return files_.size(); }
  [[nodiscard]] bool full() const { return files_.size() >= capacity_; }

 private:
  struct File {
    FileSnapshot snapshot;
    Evidence evidence = Evidence::kFound;
    TimePoint first_seen;
    TimePoint due;
    bool warned = false;
  };
  using Files = std::map<std::string, File>;

  [[nodiscard]] std::chrono::milliseconds wait_for(const File& file) const;
  void begin_wait(Files::iterator file);

  Waits waits_;
  std::size_t capacity_;
  const Clock& clock_;
  Files files_;
  std::set<std::pair<TimePoint, std::string>> by_due_;
};

}  // namespace retouchd::intake
