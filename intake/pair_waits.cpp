#include "intake/pair_waits.h"

namespace retouchd::intake {

void PairWaits::remember_complete(const std::string& companion, const FileSnapshot& snapshot) {
  if (complete_.size() >= capacity_) complete_.clear();
  complete_.insert_or_assign(companion, snapshot);
}

bool PairWaits::is_complete(const std::string& companion, const FileSnapshot& snapshot) const {
  const auto found = complete_.find(companion);
  return found != complete_.end() && found->second == snapshot;
}

bool PairWaits::wait(const std::string& picture, const FileSnapshot& snapshot) {
  if (is_waiting(picture, snapshot)) return true;
  release(picture, snapshot);
  if (full()) return false;
  const TimePoint until = clock_.steady_now() + patience_;
  waiting_.emplace(picture, Wait{snapshot, until});
  by_due_.emplace(until, picture);
  return true;
}

bool PairWaits::is_waiting(const std::string& picture, const FileSnapshot& snapshot) const {
  const auto found = waiting_.find(picture);
  return found != waiting_.end() && found->second.snapshot == snapshot;
}

bool PairWaits::release(const std::string& picture, const FileSnapshot& snapshot) {
  const auto found = waiting_.find(picture);
  if (found == waiting_.end()) return false;
  const bool same = found->second.snapshot == snapshot;
  end(found);
  return same;
}

std::optional<PairWaits::Waiting> PairWaits::take_overdue() {
  if (by_due_.empty() || by_due_.begin()->first > clock_.steady_now()) return std::nullopt;
  const auto found = waiting_.find(by_due_.begin()->second);
  Waiting overdue{found->first, found->second.snapshot};
  end(found);
  return overdue;
}

std::optional<PairWaits::TimePoint> PairWaits::next_due() const {
  if (by_due_.empty()) return std::nullopt;
  return by_due_.begin()->first;
}

void PairWaits::clear() {
  complete_.clear();
  waiting_.clear();
  by_due_.clear();
}

void PairWaits::end(Waits::iterator wait) {
  by_due_.erase({wait->second.until, wait->first});
  waiting_.erase(wait);
}

}  // namespace retouchd::intake
