#include "cloud/breaker.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace retouchd::cloud {

std::string_view name_of(BreakerState state) noexcept {
  switch (state) {
    case BreakerState::kClosed:
      return "closed";
    case BreakerState::kOpen:
      return "open";
    case BreakerState::kHalfOpen:
      return "half_open";
  }
  return "closed";
}

/// Tells the listener of the changes once the lock is gone: declare it before the lock.
class Breaker::Announcement {
 public:
  explicit Announcement(const Breaker& breaker) : breaker_(breaker) {}
  ~Announcement() {
    if (!breaker_.changed_) return;
    for (const Change& change : changes_) breaker_.changed_(change.from, change.to);
  }
  Announcement(const Announcement&) = delete;
  Announcement& operator=(const Announcement&) = delete;

  void add(Change change) { changes_.push_back(change); }

 private:
  const Breaker& breaker_;
  std::vector<Change> changes_;
};

Breaker::Breaker(Options options, const Clock& clock, std::uint32_t seed)
    : clock_(clock), changed_(std::move(options.changed)), silence_(options.silence), reopen_(options.reopen), random_(seed) {}

BreakerState Breaker::state() {
  Announcement changes(*this);
  const std::lock_guard lock(mutex_);
  catch_up(clock_.steady_now(), changes);
  return state_;
}

bool Breaker::begin_probe() {
  Announcement changes(*this);
  const std::lock_guard lock(mutex_);
  const Steady now = clock_.steady_now();
  catch_up(now, changes);
  if (state_ != BreakerState::kHalfOpen) return false;
  if (probe_since_ && now - *probe_since_ < reopen_) return false;
  probe_since_ = now;
  return true;
}

void Breaker::asked() {
  Announcement changes(*this);
  const std::lock_guard lock(mutex_);
  const Steady now = clock_.steady_now();
  catch_up(now, changes);
  if (state_ == BreakerState::kOpen) return;
  // After a quiet time in which nobody called there was nothing to be heard.
  if (in_flight_ == 0 && now - last_call_ >= silence_) waiting_since_.reset();
  ++in_flight_;
  last_call_ = now;
  if (!waiting_since_) waiting_since_ = now;
}

void Breaker::heard() {
  Announcement changes(*this);
  const std::lock_guard lock(mutex_);
  waiting_since_.reset();
  catch_up(clock_.steady_now(), changes);
}

void Breaker::succeeded() {
  Announcement changes(*this);
  const std::lock_guard lock(mutex_);
  const Steady now = clock_.steady_now();
  waiting_since_.reset();
  catch_up(now, changes);
  note_end(now);
  if (state_ == BreakerState::kClosed) failed_[calls_++ % kWindow] = false;
  if (state_ == BreakerState::kHalfOpen) move_to(BreakerState::kClosed, now, changes);
}

void Breaker::failed() {
  Announcement changes(*this);
  const std::lock_guard lock(mutex_);
  const Steady now = clock_.steady_now();
  catch_up(now, changes);
  note_end(now);
  if (state_ == BreakerState::kClosed) {
    failed_[calls_++ % kWindow] = true;
    if (failures() >= kFailures) move_to(BreakerState::kOpen, now, changes);
  } else if (state_ == BreakerState::kHalfOpen && probe_since_) {
    move_to(BreakerState::kOpen, now, changes);
  }
}

void Breaker::abandoned() {
  Announcement changes(*this);
  const std::lock_guard lock(mutex_);
  const Steady now = clock_.steady_now();
  catch_up(now, changes);
  note_end(now);
  probe_since_.reset();
}

std::optional<std::chrono::milliseconds> Breaker::until_probe() {
  Announcement changes(*this);
  const std::lock_guard lock(mutex_);
  const Steady now = clock_.steady_now();
  catch_up(now, changes);
  if (state_ != BreakerState::kOpen) return std::nullopt;
  return std::chrono::ceil<std::chrono::milliseconds>(open_until_ - now);
}

void Breaker::reset(std::chrono::milliseconds silence, std::chrono::milliseconds reopen) {
  Announcement changes(*this);
  const std::lock_guard lock(mutex_);
  silence_ = silence;
  reopen_ = reopen;
  if (state_ != BreakerState::kClosed) move_to(BreakerState::kClosed, clock_.steady_now(), changes);
  failed_.fill(false);
  waiting_since_.reset();
}

void Breaker::note_end(Steady now) {
  in_flight_ = std::max(0, in_flight_ - 1);
  last_call_ = now;
}

void Breaker::catch_up(Steady now, Announcement& changes) {
  const bool is_silent = in_flight_ > 0 && waiting_since_ && now - *waiting_since_ >= silence_;
  if (state_ != BreakerState::kOpen && is_silent) move_to(BreakerState::kOpen, now, changes);
  if (state_ == BreakerState::kOpen && now >= open_until_) move_to(BreakerState::kHalfOpen, now, changes);
}

void Breaker::move_to(BreakerState to, Steady now, Announcement& changes) {
  changes.add({std::exchange(state_, to), to});
  failed_.fill(false);
  waiting_since_.reset();
  probe_since_.reset();
  in_flight_ = 0;
  if (to != BreakerState::kOpen) return;
  // Many daemons that lost the same node shall not come back at the same instant.
  std::uniform_real_distribution<double> jitter(0.8, 1.2);
  open_until_ = now + std::chrono::duration_cast<Steady::duration>(reopen_ * jitter(random_));
}

int Breaker::failures() const { return static_cast<int>(std::count(failed_.begin(), failed_.end(), true)); }

}  // namespace retouchd::cloud
