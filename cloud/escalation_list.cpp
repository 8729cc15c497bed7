#include "cloud/escalation_list.h"

namespace retouchd::cloud {

void EscalationList::add(queue::JobId job, bool may_be_known) {
  {
    const std::lock_guard lock(mutex_);
    const auto [found, is_new] = entries_.try_emplace(job, job, may_be_known);
    if (!is_new) found->second.again = found->second.is_taken;
  }
  changed_.notify_all();
}

void EscalationList::cancel(queue::JobId job) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(job);
    if (found == entries_.end()) return;
    if (!found->second.is_taken) {
      entries_.erase(found);
      return;
    }
    found->second.escalation.is_cancelled = true;
  }
  changed_.notify_all();
}

Escalation* EscalationList::take_ready(bool node_is_there) {
  const auto steady = clock_.steady_now();
  const auto now = clock_.now();
  for (auto& [id, entry] : entries_) {
    if (entry.is_taken) continue;
    const Escalation& waiting = entry.escalation;
    const bool is_ready = waiting.not_before <= steady && (node_is_there || !waiting.waits_for_node);
    if (!is_ready && waiting.take_back_at > now) continue;
    entry.is_taken = true;
    return &entry.escalation;
  }
  return nullptr;
}

void EscalationList::put_back(Escalation& escalation) {
  {
    const std::lock_guard lock(mutex_);
    Entry& entry = entries_.at(escalation.job);
    // Cancelled while it was taken: whatever comes under this id now is another matter.
    if (escalation.is_cancelled) {
      end(escalation.job);
    } else {
      entry.is_taken = entry.again = false;
    }
  }
  changed_.notify_all();
}

void EscalationList::remove(Escalation& escalation) {
  {
    const std::lock_guard lock(mutex_);
    end(escalation.job);
  }
  changed_.notify_all();
}

void EscalationList::end(queue::JobId job) {
  const bool again = entries_.at(job).again;
  entries_.erase(job);
  if (again) entries_.try_emplace(job, job, false);
}

bool EscalationList::pause(const Escalation& escalation, std::chrono::milliseconds time) {
  std::unique_lock lock(mutex_);
  return !changed_.wait_for(lock, time, [&] { return is_closed_ || escalation.is_cancelled; });
}

bool EscalationList::empty() const {
  const std::lock_guard lock(mutex_);
  return entries_.empty();
}

bool EscalationList::is_closed() const {
  const std::lock_guard lock(mutex_);
  return is_closed_;
}

void EscalationList::close() {
  {
    const std::lock_guard lock(mutex_);
    is_closed_ = true;
  }
  changed_.notify_all();
}

}  // namespace retouchd::cloud
