#include "stages/route.h"

#include <opencv2/imgproc.hpp>

#include "stages/encode.h"
#include "stages/server_lane.h"

namespace retouchd::stages {
namespace {

/// Pictures over which the share of skipped ones is kept.
constexpr std::size_t kRecent = 1'000;

/// Whether the file itself can be the result.
bool can_pass_through(const PictureRun& run, const Settings& settings) {
  if (settings.output.metadata == image::EncodeOptions::Metadata::kStrip || run.network.scale != 1) return false;
  image::FileFormat format = run.picture.format;
  (void)Encode::target_for(run.picture, run.job.request.source, run.job.request.output, &format);
  return format == run.picture.format;
}

/// Generous: there may be others before it.
double local_seconds(const PictureRun& run) {
  constexpr double kMargin = 2.0;
  double seconds = run.planned_seconds().value_or(0);
  for (const auto& [stage, took] : run.seconds) seconds += took;
  return kMargin * seconds;
}

}  // namespace

bool Route::may_skip(const PictureRun& run, const Settings& settings) {
  if (!run.parts || !run.parts->gain || !can_pass_through(run, settings)) return false;
  const std::lock_guard lock(mutex_);
  return static_cast<double>(skipped_ + 1) <= settings.skip_share * static_cast<double>(recent_.size() + 1);
}

void Route::note_skipped(bool skipped) {
  const std::lock_guard lock(mutex_);
  recent_.push_back(skipped);
  skipped_ += skipped ? 1 : 0;
  if (recent_.size() <= kRecent) return;
  skipped_ -= recent_.front() ? 1 : 0;
  recent_.pop_front();
}

void Route::enlarge(PictureRun& run, const cv::Mat& restored) {
  const cv::Size size = run.picture.colour.size() * run.network.scale;
  cv::resize(restored, run.picture.colour, size, 0, 0, cv::INTER_CUBIC);
}

Result<void> Route::process(const RunPtr& run) {
  if (run->is_returned) return {};
  const auto settings = settings_.get();
  if (!run->is_settled()) {
    RouteFacts facts{run->job.request, *settings};
    facts.is_pair = run->network.companion != inference::Companion::kNone;
    facts.has_pages = !run->picture.pages.empty();
    facts.has_preview = !run->small_restored.empty();
    facts.parts = run->parts;
    facts.may_skip = may_skip(*run, *settings);
    facts.node = node_ ? &*node_ : nullptr;
    facts.local_seconds = local_seconds(*run);
    run->decision = decide(facts);
    if (run->parts && run->parts->gain) note_skipped(run->decision.route == queue::Route::kSkip);
    observer_.routed(run->decision);
    if (run->decision.route == queue::Route::kCloud) {
      outcomes_.escalated(*run);
      return {};
    }
    if (auto recorded = store_.record_decision(run->claim(), queue::to_text(run->decision)); !recorded) return recorded;
    run->wants_levels = run->decision.policy == "progressive" && run->decision.route == queue::Route::kLocal && run->parts &&
                        run->picture.pages.empty();
  }
  return follow(*run, *settings);
}

Result<void> Route::go_to_server(PictureRun& run, const Settings& settings) {
  const bool waits = settings.fallback == Settings::Fallback::kQueue;
  if (run.decision.code == "over_budget" || run.decision.code == "node_away") {  // decided without a permit
    const Permit permit = node_ ? node_->ask({run.job.request.identity.size}, run.job.request.deadline) : Permit{};
    if (!permit.granted && waits) {
      outcomes_.wait(run, {ErrorCode::kCloudFailed, permit.reason, std::string(kName)}, ServerLane::kPause);
      return {};
    }
    if (permit.granted) run.decision.code = "below_threshold";
  }
  const auto planned =
      node_ ? plan_for_server_(run) : Result<void>(make_error(ErrorCode::kCloudFailed, "no model server is configured any more"));
  if (planned) return {};
  if (waits && node_) {
    outcomes_.wait(run, planned.error(), ServerLane::kPause);
    return {};
  }
  queue::fall_back(run.decision, queue::Route::kLocal, "node_away", planned.error().message);
  observer_.routed(run.decision);
  return store_.record_decision(run.claim(), queue::to_text(run.decision));
}

Result<void> Route::follow(PictureRun& run, const Settings& settings) {
  if (!run.picture.pages.empty() && run.decision.route != queue::Route::kPreview) {
    run.decision.route = queue::Route::kLocal;  // an earlier attempt may have read the first page only
    return {};
  }
  if (run.decision.route == queue::Route::kServer) return go_to_server(run, settings);
  if (run.decision.route == queue::Route::kCloud) run.decision.route = queue::Route::kLocal;  // its answer is lost
  const bool from_small = run.decision.route == queue::Route::kPreview || run.decision.route == queue::Route::kLevel;
  if (!from_small) return {};
  if (run.small_restored.empty()) {  // decided under other settings; by now it is not larger than a preview
    run.decision.route = queue::Route::kLocal;
  } else if (run.decision.route == queue::Route::kLevel) {
    enlarge(run, run.small_restored);
  } else {
    run.picture.colour = run.small_restored;
    run.picture.alpha.release();
    run.picture.pages.clear();
  }
  return {};
}

}  // namespace retouchd::stages
