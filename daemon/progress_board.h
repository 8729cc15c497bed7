#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "queue/job.h"

namespace retouchd::daemon {

/// How far the full passes in flight are. Announces at most ten steps a second for each job, and always the last. Threads: safe.
class ProgressBoard {
 public:
  struct Progress {
    int done = 0;  ///< tiles
    int total = 0;
  };
  using Announce = std::function<void(const queue::JobEvent&)>;

  /// `announce` is called from merge threads and must not block.
  ProgressBoard(const Clock& clock, Announce announce) : clock_(clock), announce_(std::move(announce)) {}

  void note(queue::JobId id, int done, int total);
  [[nodiscard]] std::optional<Progress> of(queue::JobId id) const;

  /// From the job store's listener: forgets jobs that left the pipeline.
  void on_events(const std::vector<queue::JobEvent>& events);

 private:
  struct Entry {
    Progress progress;
    std::chrono::steady_clock::time_point announced;
  };

  const Clock& clock_;
  const Announce announce_;
  mutable std::mutex mutex_;
  std::map<queue::JobId, Entry> entries_;
};

}  // namespace retouchd::daemon
