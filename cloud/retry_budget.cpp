#include "cloud/retry_budget.h"

#include <algorithm>

namespace retouchd::cloud {

void RetryBudget::called() {
  const std::lock_guard lock(mutex_);
  refill();
  left_ = std::min(kMost, left_ + kShare);
}

bool RetryBudget::take() {
  const std::lock_guard lock(mutex_);
  refill();
  if (left_ < 1) return false;
  left_ -= 1;
  return true;
}

void RetryBudget::refill() {
  const auto now = clock_.steady_now();
  left_ = std::min(kMost, left_ + std::chrono::duration<double>(now - at_).count() * kPerSecond);
  at_ = now;
}

std::chrono::milliseconds Backoff::next() {
  const auto about = next_;
  next_ = std::min(last_, next_ * 2);
  std::uniform_real_distribution<double> jitter(0.5, 1.5);
  return std::chrono::duration_cast<std::chrono::milliseconds>(about * jitter(random_));
}

}  // namespace retouchd::cloud
