#include "cloud/node_calls.h"

#include <algorithm>
#include <exception>
#include <utility>

namespace retouchd::cloud {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLongestWish{30'000};  ///< the node may make us wait so long before we ask again
constexpr Bytes kEnvelope{256};               ///< of JSON around a request, about

}  // namespace

bool passes(const Error& refusal) noexcept {
  // A code that this version does not know reads as kInternal, which does not pass.
  return traits_of(refusal.code).transient && refusal.code != ErrorCode::kInputChanged;
}

NodeCalls::NodeCalls(Connect connect, NodeTiming timing, Gate& gate, RetryBudget& retries, const Clock& clock)
    : connect_(std::move(connect)),
      timing_(timing),
      gate_(gate),
      retries_(retries),
      clock_(clock),
      backoff_(timing.first_pause, timing.last_pause) {}

void NodeCalls::begin(const TripWatch& watch, Steady give_up) {
  watch_ = &watch;
  give_up_ = give_up;
  sent_ = received_ = {};
  busy_ = 0;
  backoff_.reset();
}

std::optional<TripFailure> NodeCalls::interruption() const {
  if (!watch_->pause(milliseconds::zero())) return TripFailure{Trouble::kStopped, make_error(ErrorCode::kCancelled, "stopped")};
  if (clock_.steady_now() >= give_up_)
    return TripFailure{Trouble::kTimeout, make_error(ErrorCode::kTimeout, "the cloud node was not done in time")};
  return std::nullopt;
}

Step<std::variant<wire::Reply, NodeCalls::Lost>> NodeCalls::once(wire::Operation operation,
                                                                 std::span<const std::uint8_t> content) {
  if (auto over = interruption()) return *over;
  retries_.called();
  gate_.asked();
  const Steady until = clock_.steady_now() + timing_.request;
  const std::string id = "c" + std::to_string(++calls_);
  why_lost_ = "it does not answer";
  try {
    if (!client_) {
      auto connected = connect_();
      if (!connected) {
        why_lost_ = connected.error().message;
        gate_.failed();
        return Lost{};
      }
      client_ = std::move(*connected);
    }
    if (!client_->send({id, std::move(operation)}, content)) {
      gate_.failed();
      client_.reset();
      return Lost{};
    }
    count(Bytes{content.size()} + kEnvelope, {});
    while (clock_.steady_now() < until) {
      auto incoming = client_->next(timing_.slice);
      if (auto* reply = std::get_if<wire::Reply>(&incoming)) {
        count({}, Bytes{reply->content.size()} + kEnvelope);
        if (reply->id == id) {
          gate_.succeeded();
          backoff_.reset();
          if (!reply->error || !passes(*reply->error)) busy_ = 0;
          return std::move(*reply);
        }
      }
      if (auto over = interruption()) {
        gate_.abandoned();
        client_.reset();  // with whatever still waits in it to be sent
        return *over;
      }
    }
  } catch (const std::exception&) {
    // libzmq, or no memory for what came: as good as no answer.
  }
  gate_.failed();
  client_.reset();
  return Lost{};
}

Step<wire::Reply> NodeCalls::repeat(const wire::Operation& operation) {
  while (true) {
    auto step = once(operation);
    if (auto* failure = failure_of(step)) return std::move(*failure);
    auto& answer = std::get<0>(step);
    std::optional<TripFailure> over;
    if (auto* reply = std::get_if<wire::Reply>(&answer)) {
      if (!reply->error || !passes(*reply->error)) return std::move(*reply);
      over = pause_after(*reply);
    } else {
      over = pause_after_loss();
    }
    if (over) return std::move(*over);
  }
}

std::optional<TripFailure> NodeCalls::pause_after_loss() {
  while (true) {
    if (gate_.breaker() != BreakerState::kClosed)
      return TripFailure{Trouble::kLink, make_error(ErrorCode::kUnreachable, "the cloud node is away: " + why_lost_)};
    if (auto over = pause(backoff_.next())) return over;
    if (retries_.take()) return std::nullopt;
  }
}

std::optional<TripFailure> NodeCalls::pause_after(const wire::Reply& refusal) {
  if (++busy_ >= kBusyTries) return TripFailure{Trouble::kBusy, *refusal.error};
  // At least a moment, whatever it says.
  const auto wish = std::clamp(refusal.retry_after.value_or(milliseconds::zero()), milliseconds::zero(), kLongestWish);
  return pause(std::max(wish, backoff_.next()));
}

std::optional<TripFailure> NodeCalls::pause(milliseconds time) {
  const auto left = std::chrono::ceil<milliseconds>(give_up_ - clock_.steady_now());
  if (!watch_->pause(std::clamp(time, milliseconds::zero(), std::max(left, milliseconds::zero()))))
    return TripFailure{Trouble::kStopped, make_error(ErrorCode::kCancelled, "stopped")};
  return interruption();
}

void NodeCalls::count(Bytes sent, Bytes received) {
  sent_ += sent;
  received_ += received;
  if (watch_->transferred) watch_->transferred(sent, received);
}

}  // namespace retouchd::cloud
