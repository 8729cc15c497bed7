#include "stages/levels.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "image/lost_detail.h"
#include "image/resize.h"
#include "stages/route.h"
#include "stages/small_pass.h"

namespace retouchd::stages {

Result<cv::Mat> Levels::make(const RunPtr& run, double megapixels, double predicted_db, const Settings& settings) {
  const int scale = run->network.scale;
  const cv::Mat small = image::shrink_to(run->source(), megapixels / (scale * scale));
  auto restored = restore_small(run, small, largest_tile_, false, scheduler_);
  if (!restored) return restored;
  const std::filesystem::path path = folder_ / fmt::format("{}.{:g}mp.jpg", run->job.id, megapixels);
  if (auto written = write_small(codec_, *restored, run->picture, settings.preview_quality, path); !written) {
    return written.error();
  }
  const nlohmann::json body{{"path", path.string()},
                            {"megapixels", megapixels},
                            {"predicted_db", predicted_db},
                            {"width", restored->cols},
                            {"height", restored->rows}};
  if (auto recorded = store_.record_level(run->claim(), body.dump()); !recorded) return recorded.error();
  return restored;
}

Result<void> Levels::decide(PictureRun& run) {
  observer_.routed(run.decision);
  return store_.record_decision(run.claim(), queue::to_text(run.decision));
}

Result<void> Levels::process(const RunPtr& run) {
  const auto settings = settings_.get();
  const double full = static_cast<double>(run->picture.colour.total()) / 1e6;
  const int scale = run->network.scale;
  for (const double megapixels : settings->levels) {
    if (megapixels <= settings->preview_megapixels || megapixels >= full) continue;
    const cv::Size size = image::size_within(run->picture.colour.size(), megapixels / (scale * scale));
    const double db = image::measure_lost_detail(run->source(), size).value();
    const auto restored = make(run, megapixels, db, *settings);
    if (!restored) return restored.error();
    if (db < settings->good_enough_db) continue;
    run->decision.route = queue::Route::kLevel;
    run->decision.code = "good_enough";
    run->decision.level_megapixels = megapixels;
    run->decision.reason = fmt::format("at {:g} megapixels it loses no more detail than {:.1f} dB, and {:g} dB are good enough",
                                       megapixels, db, settings->good_enough_db);
    Route::enlarge(*run, *restored);
    return decide(*run);
  }
  run->decision.code = "all_levels";
  run->decision.reason =
      fmt::format("every smaller size would lose too much detail ({:g} dB are good enough)", settings->good_enough_db);
  return decide(*run);
}

}  // namespace retouchd::stages
