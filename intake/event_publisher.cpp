#include "intake/event_publisher.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "intake/job_json.h"
#include "intake/wire/reply.h"
#include "intake/wire/request.h"

namespace retouchd::intake {

bool EventPublisher::add(const queue::JobEvent& event) {
  ++n_;
  if (waiting_.size() >= capacity_) {
    ++dropped_;
    if (event.seq == 0) return false;  // progress: a newer one will follow
    const auto progress = std::find_if(waiting_.begin(), waiting_.end(), [](const Numbered& one) { return one.event.seq == 0; });
    if (progress == waiting_.end()) return false;
    waiting_.erase(progress);
  }
  waiting_.push_back({n_, event});
  return true;
}

void EventPublisher::publish(const std::vector<queue::JobEvent>& events) noexcept {
  try {
    bool first = false;
    {
      const std::lock_guard lock(mutex_);
      const bool was_empty = waiting_.empty();
      bool added = false;
      for (const auto& event : events) added = add(event) || added;
      first = was_empty && added;
    }
    if (!first) return;
    const std::lock_guard lock(wakeup_mutex_);
    if (wakeup_) wakeup_();
  } catch (const std::exception& error) {
    spdlog::error("events could not be handed over for publishing: {}", error.what());
  }
}

std::vector<EventPublisher::Message> EventPublisher::take(std::size_t most) {
  std::vector<Numbered> taken;
  {
    const std::lock_guard lock(mutex_);
    const auto count = std::min(most, waiting_.size());
    taken.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
      taken.push_back(std::move(waiting_.front()));
      waiting_.pop_front();
    }
  }
  std::vector<Message> messages;
  messages.reserve(taken.size());
  for (const auto& [n, event] : taken) {
    auto body = event_to_json(event);
    body["v"] = wire::kVersion;
    body["n"] = n;
    messages.push_back({"job." + std::to_string(event.job) + "." + event.kind, wire::dump(body)});
  }
  return messages;
}

void EventPublisher::set_wakeup(std::function<void()> wakeup) {
  const std::lock_guard lock(wakeup_mutex_);
  wakeup_ = std::move(wakeup);
}

std::uint64_t EventPublisher::dropped() const {
  const std::lock_guard lock(mutex_);
  return dropped_;
}

}  // namespace retouchd::intake
