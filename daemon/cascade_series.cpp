#include "daemon/cascade_series.h"

#include <array>
#include <limits>
#include <string>

namespace retouchd::daemon {
namespace {

const Buckets kScores{0.5, 0.8, 0.85, 0.9, 0.925, 0.95, 0.975, 1};
const Buckets kSigmas{0.5, 1, 2, 3, 5, 7.5, 10, 15, 20, 30, 50};
constexpr std::array<const char*, 3> kBreakerStates{"closed", "open", "half_open"};
constexpr std::array<const char*, 7> kResults{"returned",   "timeout",   "node_away",  "refused",
                                              "bad_answer", "cancelled", "over_budget"};

}  // namespace

CascadeSeries::CascadeSeries(prometheus::Registry& registry)
    : decisions_(counters(registry, "decisions_total", "Pictures by where they are restored, and why.")),
      score_(
          histograms(registry, "quality_score", "Scores of pictures: 1 means that the preview lost nothing.").Add({}, kScores)),
      noise_(histograms(registry, "noise_sigma", "Noise of pictures, in 8-bit values.").Add({}, kSigmas)),
      ratio_(gauges(registry, "escalation_ratio", "Part of the last 2000 scores that are below the threshold.").Add({})),
      target_(gauges(registry, "escalation_target", "The part that should be, cascade.rate.").Add({})),
      window_(gauges(registry, "escalation_window", "Scores that escalation_ratio is made of.").Add({})),
      ended_(counters(registry, "escalations_total", "Trips to the cloud node that are over, by result.")),
      sent_(counters(registry, "cloud_sent_bytes_total", "Bytes of pictures sent to the cloud node.").Add({})),
      received_(counters(registry, "cloud_received_bytes_total", "Bytes of results fetched from the cloud node.").Add({})),
      breaker_(gauges(registry, "cloud_breaker", "1 for the state that the circuit breaker is in.")),
      escalations_left_(gauges(registry, "cloud_budget_escalations", "Pictures that the budget still allows.").Add({})),
      bytes_left_(gauges(registry, "cloud_budget_bytes", "Bytes that the budget still allows.").Add({})) {
  for (const char* result : kResults) ended_.Add({{"result", result}});
  // Counted by an alert, which does not see the step from no series to 1.
  for (const auto route : {queue::Route::kLocal, queue::Route::kLevel, queue::Route::kCloud, queue::Route::kServer}) {
    decisions_.Add({{"route", std::string(queue::name_of(route))}, {"reason", "over_budget"}});
  }
}

void CascadeSeries::set_cascade(double rate, double threshold, double threshold_db) {
  target_.Set(rate);
  const std::lock_guard lock(mutex_);
  if (threshold == threshold_ && threshold_db == threshold_db_) return;
  threshold_ = threshold;
  threshold_db_ = threshold_db;
  below_.clear();
  count_below_ = 0;
}

void CascadeSeries::routed(const queue::Decision& decision) {
  decisions_.Add({{"route", std::string(queue::name_of(decision.route))}, {"reason", decision.code}}).Increment();
  if (!decision.score || decision.code == "all_levels") return;  // levels decide a second time about the same picture
  score_.Observe(*decision.score);
  if (decision.parts) noise_.Observe(decision.parts->noise_sigma);
  const std::lock_guard lock(mutex_);
  below_.push_back(*decision.score < threshold_);
  count_below_ += below_.back() ? 1 : 0;
  if (below_.size() > kWindow) {
    count_below_ -= below_.front() ? 1 : 0;
    below_.pop_front();
  }
  ratio_.Set(static_cast<double>(count_below_) / static_cast<double>(below_.size()));
  window_.Set(static_cast<double>(below_.size()));
}

void CascadeSeries::ended(std::string_view result) { ended_.Add({{"result", std::string(result)}}).Increment(); }

void CascadeSeries::transferred(Bytes sent, Bytes received) {
  sent_.Increment(static_cast<double>(sent.value));
  received_.Increment(static_cast<double>(received.value));
}

void CascadeSeries::show(const std::optional<CloudSnapshot>& cloud) {
  if (!cloud) return;
  for (const char* state : kBreakerStates) breaker_.Add({{"state", state}}).Set(cloud->breaker == state ? 1 : 0);
  constexpr double kUnbounded = std::numeric_limits<double>::infinity();
  escalations_left_.Set(cloud->escalations_left ? static_cast<double>(*cloud->escalations_left) : kUnbounded);
  bytes_left_.Set(cloud->bytes_left ? static_cast<double>(cloud->bytes_left->value) : kUnbounded);
}

}  // namespace retouchd::daemon
