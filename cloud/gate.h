#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/units.h"
#include "cloud/breaker.h"
#include "config/config.h"
#include "queue/permit.h"

namespace retouchd::cloud {

using queue::Permit;

/// What `retouch top` and the metrics show of the link.
struct GateStatus {
  BreakerState breaker = BreakerState::kClosed;
  std::optional<int> escalations_left;                   ///< nullopt: no bound
  std::optional<Bytes> bytes_left;                       ///< nullopt: no bound
  std::optional<UnixMillis> enough_at;                   ///< one more escalation will be granted then; nullopt: now
  std::optional<std::chrono::milliseconds> until_probe;  ///< with an open breaker
};

/// Stands between this daemon and the node, of either kind: budget, circuit breaker and deadlines.
///
/// The budget is kept in a file, so that a restart does not fill it up again. A retouchd (tcp://) is probed by the Escalator's
/// pings, so ask() grants nothing before the breaker has closed again; a model server (http://) is probed by the next picture:
/// ask() grants one, whose calls decide.
///
/// Threads: safe.
class Gate {
 public:
  struct Options {
    config::Cloud cloud;
    std::filesystem::path budget_file;                                     ///< <state_dir>/cloud_budget.json; empty: not kept
    std::function<void(BreakerState from, BreakerState to)> changed = {};  ///< for metrics; see Breaker. Also logged
  };

  Gate(Options options, const Clock& clock);
  ~Gate();
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  /// One picture of `size` bytes (of the file to be sent). A granted permit has been paid: one escalation and `size`. What more
  /// it takes is charged afterwards, even into debt. A picture larger than the whole budget is granted when the budget is full.
  [[nodiscard]] Permit ask(Bytes size, UnixMillis deadline = kNever);

  /// Sent or received beyond what a permit paid.
  void charge(Bytes more);
  /// How long a picture took there and back; ask() refuses pictures whose deadline is nearer than usual trips are long.
  void trip_took(std::chrono::milliseconds time);

  /// What happened to one call, to feed the breaker: see Breaker.
  void asked();
  void heard();
  void succeeded();
  void failed();
  void abandoned();

  [[nodiscard]] BreakerState breaker();
  /// Half open, and the caller is the one who tries.
  [[nodiscard]] bool begin_probe();

  /// After a reload. Another node begins with a closed breaker; the budget goes on with the new bounds.
  void configure(const config::Cloud& cloud);

  [[nodiscard]] GateStatus status();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace retouchd::cloud
