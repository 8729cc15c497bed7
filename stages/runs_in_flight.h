#pragma once

#include <condition_variable>
#include <cstddef>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "stages/picture_run.h"

namespace retouchd::stages {

/// The jobs this process has claimed and not ended. Threads: safe.
class RunsInFlight {
 public:
  void add(const RunPtr& run);
  void remove(queue::JobId id);

  [[nodiscard]] std::size_t count() const;
  /// Those that still exist; a run that is about to be dropped may be missing.
  [[nodiscard]] std::vector<RunPtr> all() const;
  /// False when `until` came first.
  [[nodiscard]] bool wait_until_empty(std::chrono::steady_clock::time_point until) const;

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable emptied_;
  std::map<queue::JobId, std::weak_ptr<PictureRun>> runs_;
};

}  // namespace retouchd::stages
