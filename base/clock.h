#pragma once

#include <chrono>
#include <cstdint>

namespace retouchd {

/// Time since the Unix epoch in milliseconds; what the job store keeps.
using UnixMillis = std::chrono::sys_time<std::chrono::milliseconds>;

/// A moment that does not come.
inline constexpr UnixMillis kNever = UnixMillis::max();

/// Where everything that waits or stamps gets its time, so that tests can turn the hands.
/// Threads: safe.
class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual UnixMillis now() const = 0;
  [[nodiscard]] virtual std::chrono::steady_clock::time_point steady_now() const = 0;
};

/// The machine's clocks. Lives for the whole process.
[[nodiscard]] const Clock& system_clock() noexcept;

}  // namespace retouchd
