#pragma once

#include <chrono>
#include <mutex>
#include <random>

#include "base/clock.h"

namespace retouchd::cloud {

/// Keeps repeated calls from becoming the larger part of the load: all of the process together may repeat one call in ten, plus
/// one a second. Unused repeats gather up to kMost.
///
/// Threads: safe.
class RetryBudget {
 public:
  static constexpr double kShare = 0.10;  ///< of the calls
  static constexpr double kPerSecond = 1.0;
  static constexpr double kMost = 10;

  explicit RetryBudget(const Clock& clock) : clock_(clock), at_(clock.steady_now()) {}

  void called();              ///< a call was made, of whatever kind
  [[nodiscard]] bool take();  ///< the right to repeat one; false: not now

 private:
  void refill();

  const Clock& clock_;
  std::mutex mutex_;
  std::chrono::steady_clock::time_point at_;
  double left_ = kMost;
};

/// Pauses before repeated calls: each about twice as long as the one before, times 0.5 to 1.5 at random so that clients that
/// failed together do not come back together.
///
/// Threads: confined to one.
class Backoff {
 public:
  Backoff(std::chrono::milliseconds first, std::chrono::milliseconds last, std::uint32_t seed = std::random_device{}())
      : first_(first), last_(last), next_(first), random_(seed) {}

  [[nodiscard]] std::chrono::milliseconds next();
  void reset() noexcept { next_ = first_; }

 private:
  std::chrono::milliseconds first_;
  std::chrono::milliseconds last_;
  std::chrono::milliseconds next_;
  std::mt19937 random_;
};

}  // namespace retouchd::cloud
