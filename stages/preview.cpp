#include "stages/preview.h"

#include <nlohmann/json.hpp>

#include "image/alpha_channel.h"
#include "image/resize.h"
#include "stages/small_pass.h"

namespace retouchd::stages {

std::filesystem::path Preview::path_of(const std::filesystem::path& folder, queue::JobId id) {
  return folder / (std::to_string(id) + ".jpg");
}

double Preview::megapixels_for(const PictureRun& run, const Settings& settings) {
  if (!run.companion.empty() || run.is_returned) return 0;  // depth is nothing to look at
  const queue::JobRequest& request = run.job.request;
  bool is_wanted = (settings.preview && request.preview && run.job.preview.empty()) || request.preview_only;
  double wanted = settings.preview_megapixels;
  if (!run.is_settled()) {
    // Levels begin with the preview, and a score is surer when it was looked at.
    is_wanted = is_wanted || (settings.preview && request.preview) || request.policy == "progressive";
  } else if (run.decision.route == queue::Route::kLevel || run.decision.route == queue::Route::kPreview) {
    is_wanted = true;
    if (run.decision.level_megapixels > 0) wanted = run.decision.level_megapixels;
  }
  const bool is_smaller = wanted < static_cast<double>(run.picture.colour.total()) / 1e6;
  return is_wanted && is_smaller ? wanted : 0;
}

Result<void> Preview::process(const RunPtr& run) {
  const auto settings = settings_.get();
  const auto start = clock_.now();
  if (!run->is_returned) run->filled = image::fill_hidden_colours(run->picture.colour, run->picture.alpha);
  const double megapixels = megapixels_for(*run, *settings);
  if (megapixels == 0) return {};
  const int scale = run->network.scale;
  run->small = image::shrink_to(run->source(), megapixels / (scale * scale));
  auto restored = restore_small(run, run->small, options_.largest_tile, true, scheduler_);
  if (!restored) return restored.error();
  run->small_restored = *std::move(restored);
  if (!run->job.preview.empty()) return {};  // announced by an earlier attempt

  const std::filesystem::path path = path_of(options_.folder, run->job.id);
  if (auto written = write_small(codec_, run->small_restored, run->picture, settings->preview_quality, path); !written) {
    return written;
  }
  const nlohmann::json body{{"path", path.string()},
                            {"width", run->small_restored.cols},
                            {"height", run->small_restored.rows},
                            {"seconds", std::chrono::duration<double>(clock_.now() - start).count()}};
  if (auto recorded = store_.record_preview(run->claim(), path, body.dump()); !recorded) return recorded;
  observer_.preview_ready(clock_.now() - run->job.accepted_at);
  return {};
}

}  // namespace retouchd::stages
