#pragma once

#include "base/clock.h"

namespace retouchd::cloud {

/// So much in an hour, of whatever: what was not used gathers, up to one hour's worth.
///
/// It may go into debt, which is paid back by waiting; so the average holds even when the true amount is known only afterwards.
/// Moments before the last one (a clock set back) count as that one.
///
/// Threads: confined to one, or guarded by the caller.
class TokenBucket {
 public:
  /// Full. `per_hour` 0: no bound, everything is always there.
  TokenBucket(double per_hour, UnixMillis now);

  [[nodiscard]] bool is_bounded() const noexcept { return per_hour_ > 0; }
  /// Whether `amount` is there, or the bucket is full: what is larger than an hour's worth goes alone.
  [[nodiscard]] bool has(double amount, UnixMillis now) const;
  void take(double amount, UnixMillis now);
  /// What is there; below zero: debt.
  [[nodiscard]] double level(UnixMillis now) const;
  /// The moment from which has(amount); not later than `now` when it is already so.
  [[nodiscard]] UnixMillis ready_at(double amount, UnixMillis now) const;

  /// Another bound; what is there stays, as far as it fits.
  void set_bound(double per_hour, UnixMillis now);
  /// As it was at `at`, which may lie in the past.
  void restore(double level, UnixMillis at, UnixMillis now);

 private:
  double per_hour_;
  double level_;
  UnixMillis at_;
};

}  // namespace retouchd::cloud
