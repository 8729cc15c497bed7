#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace retouchd::daemon {

inline constexpr std::size_t kMostClientsTold = 20;

/// Somebody whose tiles wait for a device, or were computed in the last minute.
struct ClientSnapshot {
  std::string name;         ///< JobRequest::origin
  double pixels = 0;        ///< tensor pixels that it got in the last minute
  bool is_waiting = false;  ///< has tiles that could be computed now
};

/// Jain's index of what the clients got: (sum x)^2 / (n * sum x^2), from 1/n (one has everything) to 1 (all the same); 1 for
/// fewer than two clients, and before anybody got anything.
///
/// Only who waits can be treated unfairly. A client with nothing waiting got all that it asked for, so it counts only when it
/// got more than everyone who waits; 1 when nobody waits.
/// Source: R. Jain, D. Chiu, W. Hawe, "A Quantitative Measure of Fairness and Discrimination", DEC TR-301, 1984.
[[nodiscard]] double fairness_index(const std::vector<ClientSnapshot>& clients);

/// For people: who waits first, then who got most; at most kMostClientsTold of them.
[[nodiscard]] std::vector<ClientSnapshot> clients_to_tell(std::vector<ClientSnapshot> clients);

}  // namespace retouchd::daemon
