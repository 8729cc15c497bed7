#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "cli/connection.h"
#include "cli/console.h"
#include "cli/outcome.h"
#include "cli/progress_bars.h"

namespace retouchd::cli {

/// Follows jobs to their end. Events say when to look; what counts is the daemon's answer to `status`, which is also asked now
/// and then in case an event was lost. Confined to one thread.
class Tracker {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  /// `announce`: print every event of the jobs, not only previews and ends.
  Tracker(Connection& connection, Console& console, Outcome& outcome, bool announce)
      : connection_(connection), console_(console), outcome_(outcome), announce_(announce) {}

  /// `asked`: its state is asked for at once, for it may have ended already.
  void follow(std::int64_t job, const std::string& label, bool asked);
  /// Announces the jobs that will be followed, for the bar.
  void expect(std::size_t jobs) { expected_ = jobs; }

  /// True when the reply was to a question of the tracker.
  bool take(const wire::Reply& reply);
  void take(const wire::Event& event);

  /// To be called often: asks what should be asked and draws.
  void tick(TimePoint now);

  [[nodiscard]] bool is_idle() const { return pending_.empty(); }
  [[nodiscard]] std::size_t pending() const { return pending_.size(); }
  /// Questions are open and none has been answered for half a minute.
  [[nodiscard]] bool is_unanswered(TimePoint now) const;

 private:
  void ask(std::int64_t job);
  void finish(const nlohmann::json& job);
  void show(const nlohmann::json& event);

  Connection& connection_;
  Console& console_;
  Outcome& outcome_;
  const bool announce_;
  std::map<std::int64_t, std::string> pending_;  ///< job -> label
  std::map<std::int64_t, TimePoint> asked_;      ///< questions on the way
  std::set<std::int64_t> early_;                 ///< events of jobs that were not followed yet
  std::int64_t last_polled_ = 0;
  TimePoint poll_at_{};
  TimePoint answered_at_ = std::chrono::steady_clock::now();
  TimePoint draw_at_{};
  std::size_t expected_ = 0;
  std::size_t finished_ = 0;
  ProgressBars bars_;
};

}  // namespace retouchd::cli
