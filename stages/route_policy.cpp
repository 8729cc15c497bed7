#include "stages/route_policy.h"

#include <fmt/format.h>

#include <algorithm>

#include "stages/calibration.h"
#include "stages/gain_predictor.h"

namespace retouchd::stages {
namespace {

using queue::Decision;
using queue::Route;

Decision choose(Decision decision, Route route, std::string code, std::string reason) {
  decision.route = route;
  decision.code = std::move(code);
  decision.reason = std::move(reason);
  return decision;
}

/// What is judged, in dB (image::LostDetail::value).
double value_of(const queue::ScoreParts& parts) { return std::min(parts.mean_db, parts.worst_db + 3); }

Decision without_node(const RouteFacts& facts, Decision decision, const Permit& refusal) {
  // Without a preview there is nothing smaller to fall back to.
  const bool is_preview = facts.settings.fallback == Settings::Fallback::kLocalPreview && facts.has_preview;
  if (is_preview) decision.level_megapixels = facts.settings.preview_megapixels;
  queue::fall_back(decision, is_preview ? Route::kLevel : Route::kLocal, refusal.code, refusal.reason);
  return decision;
}

/// When the picture has to be back, so that it can still be restored here.
UnixMillis last_moment(const RouteFacts& facts) {
  if (facts.request.deadline == kNever || !facts.local_seconds) return facts.request.deadline;
  return facts.request.deadline -
         std::chrono::ceil<std::chrono::milliseconds>(std::chrono::duration<double>(*facts.local_seconds));
}

Decision escalate(const RouteFacts& facts, Decision decision) {
  const Node& node = *facts.node;
  decision.node = node.address;
  decision.local_seconds = facts.local_seconds;
  const Permit permit = node.ask({facts.request.identity.size}, last_moment(facts));
  const bool waits = facts.settings.fallback == Settings::Fallback::kQueue && permit.code != "deadline";
  if (!permit.granted && !waits) return without_node(facts, std::move(decision), permit);
  decision.escalations += 1;
  if (permit.granted) {
    decision.route = node.route;
    return decision;
  }
  return choose(std::move(decision), node.route, permit.code,
                fmt::format("{}, and it waits: {}", decision.reason, permit.reason));
}

Decision hybrid(const RouteFacts& facts, Decision decision) {
  const queue::ScoreParts& parts = *facts.parts;
  const bool is_consistent = !parts.consistency_db || *parts.consistency_db >= kConsistentDb;
  if (is_consistent && *decision.score >= *decision.threshold) {
    return choose(std::move(decision), Route::kLocal, "above_threshold",
                  fmt::format("its score {:.3f} is not below the threshold {:g}", *decision.score, *decision.threshold));
  }
  if (is_consistent) {
    decision.code = "below_threshold";
    decision.reason = fmt::format("its score {:.3f} is below the threshold {:g}: the preview lost much detail", *decision.score,
                                  *decision.threshold);
  } else {
    decision.code = "inconsistent";
    decision.reason = fmt::format("the restored preview does not agree with the original ({:.1f} dB)", *parts.consistency_db);
  }
  if (facts.node == nullptr) return without_node(facts, std::move(decision), {false, "node_away", "no node is configured"});
  return escalate(facts, std::move(decision));
}

Decision progressive(const RouteFacts& facts, Decision decision) {
  const double db = value_of(*facts.parts);
  const double enough = facts.settings.good_enough_db;
  if (facts.has_preview && db >= enough) {
    decision.level_megapixels = facts.settings.preview_megapixels;
    return choose(std::move(decision), Route::kLevel, "good_enough",
                  fmt::format("at {:g} megapixels it loses no more detail than {:.1f} dB, and {:g} dB are good enough",
                              decision.level_megapixels, db, enough));
  }
  return choose(std::move(decision), Route::kLocal, "policy",
                fmt::format("the preview loses too much ({:.1f} dB, {:g} dB are good enough)", db, enough));
}

}  // namespace

Decision decide(const RouteFacts& facts) {
  Decision decision;
  decision.policy = facts.request.policy;
  if (facts.is_pair) return choose(std::move(decision), Route::kLocal, "pair", "pairs of pictures are restored here");
  if (facts.request.preview_only && facts.has_preview) {
    decision.level_megapixels = facts.settings.preview_megapixels;
    return choose(std::move(decision), Route::kPreview, "policy", "only the preview was asked for");
  }
  if (facts.has_pages) return choose(std::move(decision), Route::kLocal, "pages", "files of several pages are restored here");
  if (!facts.parts) return choose(std::move(decision), Route::kLocal, "small", "it is not larger than a preview");

  const Calibration& calibration = facts.settings.calibration ? *facts.settings.calibration : Calibration::built_in();
  decision.parts = facts.parts;
  decision.score = calibration.score(value_of(*facts.parts));
  decision.is_calibrated = calibration.is_users();
  if (facts.parts->gain && facts.settings.gain && *facts.parts->gain < facts.settings.gain->threshold() && facts.may_skip) {
    return choose(std::move(decision), Route::kSkip, "already_good",
                  fmt::format("restoration would hardly improve it (probability {:.2f})", *facts.parts->gain));
  }
  if (facts.request.policy == "hybrid") {
    decision.threshold = facts.settings.threshold;
    return hybrid(facts, std::move(decision));
  }
  if (facts.request.policy == "progressive") return progressive(facts, std::move(decision));
  return choose(std::move(decision), Route::kLocal, "policy", "the policy is local");
}

}  // namespace retouchd::stages
