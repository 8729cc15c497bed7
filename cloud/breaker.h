#pragma once

#include <array>
#include <chrono>
#include <functional>
#include <mutex>
#include <optional>
#include <random>
#include <string_view>

#include "base/clock.h"

namespace retouchd::cloud {

enum class BreakerState { kClosed, kOpen, kHalfOpen };

[[nodiscard]] std::string_view name_of(BreakerState state) noexcept;  ///< "closed", "open", "half_open"

/// Keeps us from calling a node that is away.
///
///     closed --5 of the last 10 calls failed, or silence--> open --reopen +-20 %--> half open --probe fails--> open
///        ^                                                                               |
///        +------------------------------------------------------ probe succeeds ---------+
///
/// Only time and what callers report move it; it calls nobody. Silence is counted while calls are under way and over the pauses
/// between repeated ones. Silence and the end of the open time show at the next call of any
/// method: whoever needs them promptly asks state() now and then.
///
/// Threads: safe. The listener runs on the thread whose call changed the state, without the breaker's lock, in the order of the
/// changes of one thread.
class Breaker {
 public:
  static constexpr int kWindow = 10;   ///< calls
  static constexpr int kFailures = 5;  ///< of them open it

  struct Options {
    std::chrono::milliseconds silence{30'000};  ///< a call that nobody answers for so long opens it
    std::chrono::milliseconds reopen{60'000};   ///< of being open until a probe may go; +-20 % at random
    std::function<void(BreakerState from, BreakerState to)> changed = {};
  };

  Breaker(Options options, const Clock& clock, std::uint32_t seed = std::random_device{}());

  [[nodiscard]] BreakerState state();

  /// Half open and nobody else is at it: the caller makes the one call that decides, and reports how it ended. A probe without a
  /// verdict for `reopen` is given to somebody else.
  [[nodiscard]] bool begin_probe();

  /// A call goes out. Exactly one of the last three follows for each.
  void asked();
  void heard();      ///< a sign of life, whatever it said
  void succeeded();  ///< the call was answered, with whatever: the node is there
  void failed();     ///< the call was not answered in time, or the link broke
  void abandoned();  ///< nobody waits for the answer any more

  /// When the next probe may go; nullopt: it is closed, or half open.
  [[nodiscard]] std::optional<std::chrono::milliseconds> until_probe();

  /// Closed, as if new, with other times.
  void reset(std::chrono::milliseconds silence, std::chrono::milliseconds reopen);

 private:
  using Steady = std::chrono::steady_clock::time_point;
  struct Change {
    BreakerState from;
    BreakerState to;
  };
  class Announcement;

  void note_end(Steady now);
  void catch_up(Steady now, Announcement& changes);
  void move_to(BreakerState to, Steady now, Announcement& changes);
  [[nodiscard]] int failures() const;

  const Clock& clock_;
  std::function<void(BreakerState, BreakerState)> changed_;
  std::mutex mutex_;
  std::chrono::milliseconds silence_;
  std::chrono::milliseconds reopen_;
  std::mt19937 random_;
  BreakerState state_ = BreakerState::kClosed;
  std::array<bool, kWindow> failed_{};  ///< the last calls, a ring
  std::size_t calls_ = 0;
  int in_flight_ = 0;
  Steady last_call_{};                   ///< beginning or end
  std::optional<Steady> waiting_since_;  ///< of the oldest call after the last sign of life
  std::optional<Steady> probe_since_;
  Steady open_until_{};
};

}  // namespace retouchd::cloud
