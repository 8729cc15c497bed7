#include "intake/settle_tracker.h"

#include <algorithm>

namespace retouchd::intake {

std::chrono::milliseconds SettleTracker::wait_for(const File& file) const {
  auto wait = file.evidence == Evidence::kClosed  ? waits_.settle
              : file.evidence == Evidence::kFound ? waits_.settle_unseen
                                                  : 10 * waits_.settle_unseen;
  if (file.snapshot.identity.size == 0) wait = std::max(wait, 3 * waits_.settle_unseen);
  return wait;
}

void SettleTracker::begin_wait(Files::iterator file) {
  by_due_.erase({file->second.due, file->first});
  file->second.due = clock_.steady_now() + wait_for(file->second);
  by_due_.emplace(file->second.due, file->first);
}

bool SettleTracker::observe(const std::string& path, const FileSnapshot& snapshot, Evidence evidence) {
  auto found = files_.find(path);
  if (found == files_.end()) {
    if (full()) return false;
    found = files_.emplace(path, File{snapshot, evidence, clock_.steady_now(), {}, false}).first;
    begin_wait(found);
    return true;
  }
  File& file = found->second;
  const bool changed = file.snapshot != snapshot;
  if (evidence == Evidence::kClosed) {
    file.evidence = evidence;  // closed once more is news even when nothing else changed
  } else if (!changed) {
    return true;
  } else if (evidence == Evidence::kOpen || file.evidence == Evidence::kClosed) {
    file.evidence = evidence;  // a file known to be open stays so: a scan cannot tell that it was closed
  }
  file.snapshot = snapshot;
  begin_wait(found);
  return true;
}

void SettleTracker::doubt_open_files() {
  for (auto file = files_.begin(); file != files_.end(); ++file) {
    if (file->second.evidence != Evidence::kOpen) continue;
    file->second.evidence = Evidence::kFound;
    begin_wait(file);
  }
}

std::optional<std::string> SettleTracker::due() const {
  if (by_due_.empty() || by_due_.begin()->first > clock_.steady_now()) return std::nullopt;
  return by_due_.begin()->second;
}

std::optional<SettleTracker::TimePoint> SettleTracker::next_due() const {
  if (by_due_.empty()) return std::nullopt;
  return by_due_.begin()->first;
}

SettleTracker::Verdict SettleTracker::confirm(const std::string& path, const FileSnapshot& snapshot) {
  const auto found = files_.find(path);
  if (found == files_.end()) return {};
  File& file = found->second;
  if (file.snapshot == snapshot) {
    forget(path);
    return {.complete = true};
  }
  file.snapshot = snapshot;
  if (file.evidence == Evidence::kClosed) file.evidence = Evidence::kFound;
  begin_wait(found);
  const bool overdue = !file.warned && clock_.steady_now() - file.first_seen >= kWarnAfter;
  file.warned = file.warned || overdue;
  return {.overdue = overdue};
}

void SettleTracker::forget(const std::string& path) {
  const auto found = files_.find(path);
  if (found == files_.end()) return;
  by_due_.erase({found->second.due, path});
  files_.erase(found);
}

void SettleTracker::clear() {
  files_.clear();
  by_due_.clear();
}

}  // namespace retouchd::intake
