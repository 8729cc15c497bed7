#pragma once

#include <functional>

namespace retouchd::inference {

/// Two ways to compute the same, measured against each other.
struct Trial {
  double first = 0;  ///< seconds of a call, the median
  double second = 0;
  int rounds = 0;

  /// By more than measurements of the same thing differ from each other: 3 %.
  [[nodiscard]] bool second_is_faster() const noexcept { return second > 0 && second < first * 0.97; }
};

/// Calls both by turns, so that what disturbs the machine meanwhile disturbs both. Each call returns its seconds. The first call
/// of each warms up and does not count, unless it alone took longer than `budget`; then come up to nine rounds, until their calls
/// took `budget` seconds together (at least one).
[[nodiscard]] Trial measure_by_turns(const std::function<double()>& first, const std::function<double()>& second, double budget);

}  // namespace retouchd::inference
