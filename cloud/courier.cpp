#include "cloud/courier.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

namespace retouchd::cloud {
namespace {

using config::Cloud;
using queue::Job;
using std::chrono::milliseconds;

constexpr milliseconds kStoreRetry{5'000};
constexpr milliseconds kFirstDelay{5'000};  ///< of a job that stays escalated; doubles, times 0.5..1.5
constexpr milliseconds kLastDelay{5 * 60'000};
constexpr milliseconds kBudgetLook{60'000};  ///< budgets change by reloads too
constexpr milliseconds kCancelPatience{2'000};

/// Largest file that a result can need: each side eight times as long, 16 bits, three channels, and what little PNG adds.
Bytes largest_result(const Parcel& parcel, const EscalatorOptions& options) {
  const double megapixels = std::min(parcel.megapixels * 64, options.limits.megapixels);
  const Bytes pixels{static_cast<std::uint64_t>(megapixels * 6.1e6) + kibibytes(256).value};
  return std::min(pixels, options.file_size);
}

/// Why a picture could not be sent or kept: our disk, or the picture.
std::string_view code_here(const Error& error) {
  const bool is_disk =
      error.code == ErrorCode::kDiskFull || error.code == ErrorCode::kIoError || error.code == ErrorCode::kOutputDenied;
  return is_disk ? "disk" : "source_changed";
}

std::string dump(const nlohmann::json& value) { return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace); }

}  // namespace

/// One look at one job.
class Courier::Errand {
 public:
  Errand(Courier& courier, Escalation& escalation)
      : courier_(courier),
        dispatch_(courier.dispatch_),
        escalation_(escalation),
        settings_(dispatch_.current()),
        began_(dispatch_.clock.steady_now()) {}

  bool run() {
    auto job = dispatch_.store.get(escalation_.job);
    if (!job) {
      if (job.error().code == ErrorCode::kUnknownJob) return true;
      return later(kStoreRetry);
    }
    if (job->state != queue::JobState::kEscalated) return true;
    job_ = std::move(*job);
    claim_ = {job_.id, job_.epoch};
    if (auto decision = queue::decision_from_text(job_.decision)) {
      decision_ = std::move(*decision);
    } else {
      decision_.policy = job_.request.policy;
    }
    return send_away();
  }

 private:
  /// One picture at a time is in memory; who waits for his turn still notices a stop.
  class Turn {
   public:
    explicit Turn(Errand& errand) : packing_(errand.dispatch_.packing) {
      while (!is_mine_ && !errand.is_stopped()) is_mine_ = packing_.try_acquire_for(errand.dispatch_.options.tick);
    }
    ~Turn() {
      if (is_mine_) packing_.release();
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    [[nodiscard]] bool is_mine() const { return is_mine_; }

   private:
    std::binary_semaphore& packing_;
    bool is_mine_ = false;
  };

  [[nodiscard]] const Cloud& cloud() const { return settings_.cloud; }
  [[nodiscard]] bool waits() const { return cloud().fallback == Cloud::Fallback::kQueue; }

  /// Escalated although the gate refused, to wait here: the code says why.
  [[nodiscard]] bool is_unpaid() const { return decision_.code == "over_budget" || decision_.code == "node_away"; }

  bool send_away() {
    if (cloud().node.empty()) return give_back("node_away", "no cloud node is configured any more", true);
    if (is_late()) return end_late();
    if (dispatch_.gate.breaker() != BreakerState::kClosed) return node_away("the cloud node is away");
    std::error_code unreadable;
    const auto file = dispatch_.files.parcel(claim_);
    if (!escalation_.is_paid && is_unpaid() && !std::filesystem::exists(file, unreadable)) {
      const auto permit = dispatch_.gate.ask(Bytes{job_.request.identity.size}, take_back_at());
      if (!permit.granted) return not_permitted(permit);
      escalation_.is_paid = true;
    }
    auto parcel = pack_picture(file);
    if (is_stopped() || (!parcel && parcel.error().code == ErrorCode::kCancelled)) return stopped();
    if (!parcel) return give_back(code_here(parcel.error()), parcel.error().message, true);
    return travel(*parcel);
  }

  /// Before its deadline by what it would take here.
  [[nodiscard]] UnixMillis take_back_at() const {
    if (job_.request.deadline == kNever) return kNever;
    const auto estimate = dispatch_.hooks.local_estimate ? dispatch_.hooks.local_estimate(job_) : milliseconds::zero();
    return job_.request.deadline - std::max(estimate, milliseconds::zero());
  }

  bool is_late() {
    escalation_.take_back_at = take_back_at();
    return dispatch_.clock.now() >= escalation_.take_back_at;
  }

  bool end_late() {
    tell("timeout");
    return give_back("deadline", "the deadline came near", true);
  }

  bool not_permitted(const Permit& permit) {
    if (permit.code == "deadline") return end_late();
    if (permit.code == "node_away") return node_away(permit.reason);
    if (!std::exchange(escalation_.told_over_budget, true)) {
      tell("over_budget");
      spdlog::info("job {}: waits to be escalated, {}", job_.id, permit.reason);
    }
    const auto enough = dispatch_.gate.status().enough_at.value_or(dispatch_.clock.now() + kFirstDelay);
    return later(
        std::clamp(std::chrono::ceil<milliseconds>(enough - dispatch_.clock.now()), dispatch_.options.tick, kBudgetLook));
  }

  Result<Parcel> pack_picture(const std::filesystem::path& file) {
    Packing packing;
    packing.strip_metadata = cloud().strip_metadata;
    packing.answer = cloud().answer;
    packing.limits = dispatch_.options.limits;
    packing.file_size = dispatch_.options.file_size;
    packing.png_level = dispatch_.options.png_level;
    const Turn turn(*this);
    if (!turn.is_mine()) return make_error(ErrorCode::kCancelled, "stopped");
    return pack(dispatch_.codec, job_.request.source, job_.request.identity, file, packing);
  }

  bool travel(const Parcel& parcel) {
    courier_.connect(settings_);
    Trip trip;
    trip.parcel = parcel;
    trip.key = fmt::format("{}:{}:{}", dispatch_.edge, claim_.id, claim_.epoch);
    trip.network = cloud().network.empty() ? job_.request.network : cloud().network;
    trip.deadline = job_.request.deadline;
    auto patience = std::chrono::duration_cast<milliseconds>(cloud().timeout);
    if (const auto back = take_back_at(); back != kNever) patience = std::min(patience, back - dispatch_.clock.now());
    trip.give_up = dispatch_.clock.steady_now() + patience;
    trip.may_be_known = escalation_.may_be_known || escalation_.failures > 0;
    trip.partial = dispatch_.files.stem(claim_);
    trip.most_back = largest_result(parcel, dispatch_.options);

    TripWatch watch;
    watch.pause = [this](milliseconds time) { return pause(time); };
    if (dispatch_.hooks.progress) {
      watch.progress = [this](std::int64_t done, std::int64_t total) { dispatch_.hooks.progress(claim_.id, done, total); };
    }
    watch.transferred = dispatch_.hooks.transferred;

    auto step = client().carry(trip, watch);
    sent_ = client().sent();
    received_ = client().received();
    dispatch_.gate.charge(received_ + (sent_ - Bytes{job_.request.identity.size}));
    if (auto* failure = failure_of(step)) return came_to_nothing(*failure);
    return came_back(std::get<Fetched>(step), parcel);
  }

  bool came_back(const Fetched& fetched, const Parcel& parcel) {
    auto accepted = [&]() -> Result<std::filesystem::path> {
      const Turn turn(*this);
      if (!turn.is_mine()) return make_error(ErrorCode::kCancelled, "stopped");
      return accept_result(dispatch_.codec, fetched.part, fetched.announced, parcel, dispatch_.files.stem(claim_),
                           dispatch_.options.limits);
    }();
    if (!accepted) {
      if (accepted.error().code == ErrorCode::kCancelled) return stopped();
      if (accepted.error().code != ErrorCode::kCloudFailed)
        return give_back(code_here(accepted.error()), accepted.error().message, true);
      tell("bad_answer");
      return give_back("bad_answer", accepted.error().message, true);
    }
    decision_.node = cloud().node;
    const std::chrono::duration<double> took = dispatch_.clock.steady_now() - began_;
    const nlohmann::json body{{"node", cloud().node},
                              {"seconds", took.count()},
                              {"sent", sent_.value},
                              {"received", received_.value},
                              {"remote_job", client().remote_job()}};
    const auto taken = dispatch_.store.take_back(claim_, queue::to_text(decision_), *accepted, dump(body));
    if (!taken) return not_taken(taken.error());
    dispatch_.files.remove_all_but_result(claim_);
    dispatch_.gate.trip_took(std::chrono::duration_cast<milliseconds>(took));
    tell("returned");
    spdlog::info("job {}: back from the cloud node after {:.1f} s", job_.id, took.count());
    return true;
  }

  bool came_to_nothing(const TripFailure& failure) {
    ++escalation_.failures;
    switch (failure.trouble) {
      case Trouble::kStopped:
        return stopped();
      case Trouble::kLink:
      case Trouble::kBusy:
        return node_away(failure.error.message);
      case Trouble::kTimeout:
        return timed_out(failure.error.message);
      case Trouble::kRefused:
        tell("refused");
        return give_back("refused", failure.error.message, waits());
      case Trouble::kBadAnswer:
        tell("bad_answer");
        return give_back("bad_answer", failure.error.message, waits());
      case Trouble::kHere:
        break;
    }
    return give_back("disk", failure.error.message, true);
  }

  bool timed_out(const std::string& why) {
    const bool is_too_late = is_late();
    if (is_too_late || !waits()) cancel_there();
    if (is_too_late) return end_late();
    tell("timeout");
    return waits() ? later(delay()) : give_back("timeout", why, false);
  }

  bool node_away(const std::string& why) {
    tell("node_away");
    if (!waits()) return give_back("node_away", why, false);
    escalation_.waits_for_node = true;
    // While the breaker is open nothing is looked at before it closes; a busy node is left alone for a while.
    return later(dispatch_.gate.breaker() == BreakerState::kClosed ? delay() : milliseconds::zero());
  }

  bool stopped() {
    if (escalation_.is_cancelled) {
      cancel_there();
      tell("cancelled");
      dispatch_.files.remove(claim_);
      return true;
    }
    if (dispatch_.list.is_closed()) return later(milliseconds::zero());
    return node_away("the cloud node is away");
  }

  void cancel_there() {
    if (!courier_.client_ || client().remote_job() == 0) return;
    TripWatch watch;
    watch.pause = [this](milliseconds) { return !dispatch_.list.is_closed(); };
    watch.transferred = dispatch_.hooks.transferred;
    client().cancel(kCancelPatience, watch);
  }

  /// To the queue without a result. `in_full`: whatever the fallback is.
  bool give_back(std::string_view code, const std::string& why, bool in_full) {
    // Without a preview there is nothing smaller to fall back to.
    const bool is_preview = cloud().fallback == Cloud::Fallback::kLocalPreview && !in_full && !job_.preview.empty();
    if (is_preview) decision_.level_megapixels = dispatch_.options.preview_megapixels;
    queue::fall_back(decision_, is_preview ? queue::Route::kLevel : queue::Route::kLocal, code, why);
    const nlohmann::json body{{"node", cloud().node}, {"fallback", decision_.fallback}, {"code", code}, {"reason", why}};
    const auto taken = dispatch_.store.take_back(claim_, queue::to_text(decision_), {}, dump(body));
    if (!taken) return not_taken(taken.error());
    dispatch_.files.remove(claim_);
    spdlog::info("job {}: not restored by the cloud node ({}); {}", job_.id, why, decision_.fallback);
    return true;
  }

  bool not_taken(const Error& error) {
    if (error.code == ErrorCode::kStoreFailed || error.code == ErrorCode::kBusy || error.code == ErrorCode::kDiskFull) {
      spdlog::warn("job {}: cannot be taken back yet: {}", job_.id, error.message);
      return later(kStoreRetry);
    }
    // Cancelled, or moved on: nobody waits for it.
    tell("cancelled");
    dispatch_.files.remove(claim_);
    return true;
  }

  bool later(milliseconds time) {
    escalation_.not_before = dispatch_.clock.steady_now() + time;
    return false;
  }

  [[nodiscard]] milliseconds delay() const {
    Backoff backoff(kFirstDelay, kLastDelay);
    for (int i = 1; i < std::min(escalation_.failures, 8); ++i) (void)backoff.next();
    return backoff.next();
  }

  [[nodiscard]] bool is_stopped() { return !pause(milliseconds::zero()); }

  /// In pieces: nobody tells us that the breaker opened.
  bool pause(milliseconds time) {
    const auto until = std::chrono::steady_clock::now() + time;
    while (true) {
      const auto left = std::chrono::ceil<milliseconds>(until - std::chrono::steady_clock::now());
      const auto piece = std::clamp(left, milliseconds::zero(), dispatch_.options.tick);
      if (!dispatch_.list.pause(escalation_, piece)) return false;
      if (dispatch_.gate.breaker() != BreakerState::kClosed) return false;
      if (left <= piece) return true;
    }
  }

  void tell(std::string_view result) const {
    if (dispatch_.hooks.ended) dispatch_.hooks.ended(result);
  }

  [[nodiscard]] NodeClient& client() { return *courier_.client_; }

  Courier& courier_;
  Dispatch& dispatch_;
  Escalation& escalation_;
  LinkSettings settings_;
  std::chrono::steady_clock::time_point began_;
  Job job_;
  queue::Claim claim_;
  queue::Decision decision_;
  Bytes sent_;
  Bytes received_;
};

bool Courier::attend(Escalation& escalation) {
  escalation.waits_for_node = false;
  return Errand(*this, escalation).run();
}

void Courier::connect(const LinkSettings& settings) {
  if (client_ && version_ == settings.version) return;
  client_ = std::make_unique<NodeClient>(settings.connect, dispatch_.timing(settings), dispatch_.gate, dispatch_.retries,
                                         dispatch_.clock);
  version_ = settings.version;
}

}  // namespace retouchd::cloud
