#include "cloud/gate.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <mutex>
#include <utility>

#include "cloud/budget.h"

namespace retouchd::cloud {
namespace {

using std::chrono::milliseconds;

/// With less time than that before its deadline nothing is sent anywhere.
constexpr milliseconds kShortestTrip{1'000};

/// "14:00" here and today, "2026-11-22 14:00" on another day.
std::string clock_time(UnixMillis time, UnixMillis now) {
  // Whole minutes, the later one: at that time it is true.
  const auto minute = std::chrono::ceil<std::chrono::minutes>(time);
  const std::tm then = fmt::localtime(std::chrono::system_clock::to_time_t(minute));
  const std::tm today = fmt::localtime(std::chrono::system_clock::to_time_t(now));
  const bool is_today = then.tm_yday == today.tm_yday && then.tm_year == today.tm_year;
  return is_today ? fmt::format("{:%H:%M}", then) : fmt::format("{:%Y-%m-%d %H:%M}", then);
}

std::function<void(BreakerState, BreakerState)> logged(std::function<void(BreakerState, BreakerState)> changed) {
  return [changed = std::move(changed)](BreakerState from, BreakerState to) {
    switch (to) {
      case BreakerState::kOpen:
        spdlog::warn("the cloud node is away: nothing is sent until it answers again");
        break;
      case BreakerState::kHalfOpen:
        spdlog::debug("the cloud node is tried again");
        break;
      case BreakerState::kClosed:
        spdlog::info("the cloud node answers");
        break;
    }
    if (changed) changed(from, to);
  };
}

bool is_model_server(const config::Cloud& cloud) { return cloud.node.starts_with("http"); }

}  // namespace

struct Gate::State {
  State(Options options, const Clock& clock_)
      : clock(clock_),
        breaker({options.cloud.silence, options.cloud.reopen, logged(std::move(options.changed))}, clock_),
        budget(options.cloud.escalations_per_hour, options.cloud.bytes_per_hour, std::move(options.budget_file), clock_.now()),
        cloud(std::move(options.cloud)) {}

  /// Whether the breaker lets this picture pass; the probe, with a model server, included.
  bool may_call() {
    if (breaker.state() == BreakerState::kClosed) return true;
    bool asks_by_picture = false;
    {
      const std::lock_guard lock(mutex);
      asks_by_picture = is_model_server(cloud);
    }
    return asks_by_picture && breaker.begin_probe();
  }

  const Clock& clock;
  Breaker breaker;
  std::mutex mutex;  ///< never held while the breaker is asked, whose listener may ask us
  Budget budget;
  config::Cloud cloud;
  std::optional<milliseconds> usual_trip;
};

Gate::Gate(Options options, const Clock& clock) : state_(std::make_unique<State>(std::move(options), clock)) {}
Gate::~Gate() = default;

Permit Gate::ask(Bytes size, UnixMillis deadline) {
  const auto now = state_->clock.now();
  {
    const std::lock_guard lock(state_->mutex);
    const auto needed = std::max(kShortestTrip, state_->usual_trip.value_or(milliseconds::zero()));
    if (deadline != kNever && deadline - now < needed) {
      return {false, "deadline",
              fmt::format("the deadline is nearer than the cloud node is quick ({:.0f} s)",
                          std::chrono::duration<double>(needed).count())};
    }
    // Before the breaker is asked: a probe must not be lost to an empty purse.
    if (const auto enough = state_->budget.ready_at(size, now); enough > now)
      return {false, "over_budget", "over budget until " + clock_time(enough, now)};
  }
  if (!state_->may_call()) return {false, "node_away", "the cloud node is away"};
  const std::lock_guard lock(state_->mutex);
  if (state_->budget.take(size, now)) return {true, "", ""};
  return {false, "over_budget", "over budget until " + clock_time(state_->budget.ready_at(size, now), now)};
}

void Gate::charge(Bytes more) {
  const std::lock_guard lock(state_->mutex);
  state_->budget.charge(more, state_->clock.now());
}

void Gate::trip_took(milliseconds time) {
  constexpr double kNew = 0.2;  // of an exponential mean
  const std::lock_guard lock(state_->mutex);
  auto& usual = state_->usual_trip;
  usual = usual ? std::chrono::duration_cast<milliseconds>(*usual * (1 - kNew) + time * kNew) : time;
}

void Gate::asked() { state_->breaker.asked(); }
void Gate::heard() { state_->breaker.heard(); }
void Gate::succeeded() { state_->breaker.succeeded(); }
void Gate::failed() { state_->breaker.failed(); }
void Gate::abandoned() { state_->breaker.abandoned(); }
BreakerState Gate::breaker() { return state_->breaker.state(); }
bool Gate::begin_probe() { return state_->breaker.begin_probe(); }

void Gate::configure(const config::Cloud& cloud) {
  bool is_other_link = false;
  {
    const std::lock_guard lock(state_->mutex);
    const config::Cloud old = std::exchange(state_->cloud, cloud);
    is_other_link = old.node != cloud.node || old.silence != cloud.silence || old.reopen != cloud.reopen;
    if (old.node != cloud.node) state_->usual_trip.reset();
    if (old.escalations_per_hour != cloud.escalations_per_hour || old.bytes_per_hour != cloud.bytes_per_hour)
      state_->budget.set_bounds(cloud.escalations_per_hour, cloud.bytes_per_hour, state_->clock.now());
  }
  if (is_other_link) state_->breaker.reset(cloud.silence, cloud.reopen);
}

GateStatus Gate::status() {
  GateStatus status;
  status.breaker = state_->breaker.state();
  status.until_probe = state_->breaker.until_probe();
  const auto now = state_->clock.now();
  const std::lock_guard lock(state_->mutex);
  status.escalations_left = state_->budget.escalations_left(now);
  status.bytes_left = state_->budget.bytes_left(now);
  if (const auto enough = state_->budget.ready_at(Bytes{1}, now); enough > now) status.enough_at = enough;
  return status;
}

}  // namespace retouchd::cloud
