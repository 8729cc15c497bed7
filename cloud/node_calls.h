#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>

#include "base/clock.h"
#include "base/units.h"
#include "cloud/connection.h"
#include "cloud/gate.h"
#include "cloud/retry_budget.h"

namespace retouchd::cloud {

struct NodeTiming {
  std::chrono::milliseconds request{10'000};   ///< for one answer; then the connection is made anew
  std::chrono::milliseconds first_poll{250};   ///< pauses between questions for the state grow from here ...
  std::chrono::milliseconds last_poll{1'000};  ///< ... to here
  std::chrono::milliseconds first_pause{500};  ///< before a call is repeated; doubles, times 0.5..1.5
  std::chrono::milliseconds last_pause{15'000};
  std::chrono::milliseconds slice{100};  ///< a stop is noticed so soon
};

/// How the owner of a trip takes part in it; called from the thread that makes it.
struct TripWatch {
  /// Waits so long; false, at once: stop. Also asked with zero.
  std::function<bool(std::chrono::milliseconds)> pause;
  std::function<void(std::int64_t done, std::int64_t total)> progress = {};
  std::function<void(Bytes sent, Bytes received)> transferred = {};
};

enum class Trouble {
  kLink,       ///< no answer, and the breaker has opened
  kBusy,       ///< the node is there, but takes nothing now
  kRefused,    ///< the node will never do it
  kBadAnswer,  ///< the node does not keep to the protocol
  kTimeout,    ///< the time given was over
  kStopped,    ///< the watch said so
  kHere,       ///< our own disk
};

struct TripFailure {
  Trouble trouble = Trouble::kLink;
  Error error;
};

/// What one step of a trip came to.
template <class T>
using Step = std::variant<T, TripFailure>;

template <class T>
[[nodiscard]] TripFailure* failure_of(Step<T>& step) noexcept {
  return std::get_if<TripFailure>(&step);
}

/// Calls to the node: sent, waited for, counted, repeated; each one is told to the gate's breaker. A reply of any kind means that
/// the node is there. Replies that nobody waits for (late, twice, of others) are passed over.
///
/// Threads: confined to one.
class NodeCalls {
 public:
  using Steady = std::chrono::steady_clock::time_point;
  struct Lost {};  ///< no answer in time; the connection was given up

  NodeCalls(Connect connect, NodeTiming timing, Gate& gate, RetryBudget& retries, const Clock& clock);

  /// For the calls that follow. `watch` must outlive them.
  void begin(const TripWatch& watch, Steady give_up);

  /// One attempt. The reply may be a refusal.
  [[nodiscard]] Step<std::variant<wire::Reply, Lost>> once(wire::Operation operation, std::span<const std::uint8_t> content = {});

  /// As often as it takes: lost calls after a pause each while the breaker is closed, and refusals that pass (busy, disk full,
  /// ...) after the time the node names, kBusyTries times. Only for what may be repeated. The reply may be another refusal.
  [[nodiscard]] Step<wire::Reply> repeat(const wire::Operation& operation);

  /// Waits until a lost call may be repeated.
  [[nodiscard]] std::optional<TripFailure> pause_after_loss();
  /// Waits as long as a refusal that passes asks for; after kBusyTries of them in a row it is the failure.
  [[nodiscard]] std::optional<TripFailure> pause_after(const wire::Reply& refusal);
  /// Waits; a failure when told to stop, or when the time is over.
  [[nodiscard]] std::optional<TripFailure> pause(std::chrono::milliseconds time);

  [[nodiscard]] Bytes sent() const noexcept { return sent_; }  ///< since begin()
  [[nodiscard]] Bytes received() const noexcept { return received_; }

  static constexpr int kBusyTries = 5;

 private:
  [[nodiscard]] std::optional<TripFailure> interruption() const;
  void count(Bytes sent, Bytes received);

  Connect connect_;
  NodeTiming timing_;
  Gate& gate_;
  RetryBudget& retries_;
  const Clock& clock_;
  const TripWatch* watch_ = nullptr;
  Steady give_up_{};
  std::unique_ptr<wire::Client> client_;
  Backoff backoff_;
  std::uint64_t calls_ = 0;
  std::string why_lost_;
  int busy_ = 0;  ///< refusals that pass, in a row
  Bytes sent_;
  Bytes received_;
};

/// Refused now, perhaps not later.
[[nodiscard]] bool passes(const Error& refusal) noexcept;

}  // namespace retouchd::cloud
