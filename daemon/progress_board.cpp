#include "daemon/progress_board.h"

#include <nlohmann/json.hpp>

namespace retouchd::daemon {
namespace {

constexpr std::chrono::milliseconds kShortestPause{100};

}  // namespace

void ProgressBoard::note(queue::JobId id, int done, int total) {
  {
    const std::lock_guard lock(mutex_);
    Entry& entry = entries_[id];
    if (entry.progress.total == total && done <= entry.progress.done) return;  // another thread was faster
    entry.progress = {done, total};
    const auto now = clock_.steady_now();
    if (done < total && now - entry.announced < kShortestPause) return;
    entry.announced = now;
  }
  const nlohmann::json body{{"stage", "infer"}, {"done", done}, {"total", total}};
  announce_({id, 0, "progress", clock_.now(), body.dump()});
}

std::optional<ProgressBoard::Progress> ProgressBoard::of(queue::JobId id) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(id);
  if (found == entries_.end()) return std::nullopt;
  return found->second.progress;
}

void ProgressBoard::on_events(const std::vector<queue::JobEvent>& events) {
  const std::lock_guard lock(mutex_);
  for (const queue::JobEvent& event : events) {
    if (event.kind != "preview" && event.kind != "cancel_requested") entries_.erase(event.job);
  }
}

}  // namespace retouchd::daemon
