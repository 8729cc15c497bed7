#include "cloud/token_bucket.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

namespace retouchd::cloud {
namespace {

constexpr double kHour = std::chrono::milliseconds(std::chrono::hours(1)).count();
/// A file that says otherwise is wrong; nobody shall wait longer than that for it.
constexpr double kLargestDebt = 24;  // hours

}  // namespace

TokenBucket::TokenBucket(double per_hour, UnixMillis now) : per_hour_(per_hour), level_(per_hour), at_(now) {}

bool TokenBucket::has(double amount, UnixMillis now) const {
  // A millionth of a token is rounding, not want.
  return !is_bounded() || level(now) + 1e-6 >= std::min(amount, per_hour_);
}

void TokenBucket::take(double amount, UnixMillis now) {
  if (!is_bounded()) return;
  level_ = level(now) - amount;
  at_ = std::max(at_, now);
}

double TokenBucket::level(UnixMillis now) const {
  if (!is_bounded()) return std::numeric_limits<double>::infinity();
  const double passed = std::max(0.0, static_cast<double>((now - at_).count()));
  return std::min(per_hour_, level_ + passed * per_hour_ / kHour);
}

UnixMillis TokenBucket::ready_at(double amount, UnixMillis now) const {
  if (has(amount, now)) return now;
  const double missing = std::min(amount, per_hour_) - level(now);
  return std::max(now, at_) + std::chrono::milliseconds(static_cast<std::int64_t>(std::ceil(missing / per_hour_ * kHour)));
}

void TokenBucket::set_bound(double per_hour, UnixMillis now) {
  const bool was_bounded = is_bounded();
  const double there = level(now);
  per_hour_ = per_hour;
  level_ = was_bounded ? std::min(there, per_hour) : per_hour;
  at_ = std::max(at_, now);
}

void TokenBucket::restore(double level, UnixMillis at, UnixMillis now) {
  if (!std::isfinite(level)) level = 0;
  level_ = std::clamp(level, -kLargestDebt * per_hour_, per_hour_);
  at_ = std::min(at, now);
}

}  // namespace retouchd::cloud
