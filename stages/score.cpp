#include "stages/score.h"

#include "image/gain_features.h"
#include "image/lost_detail.h"
#include "image/resize.h"
#include "stages/gain_predictor.h"
#include "stages/small_pass.h"

namespace retouchd::stages {

Result<double> Score::gain(const RunPtr& run, const GainPredictor& predictor) {
  const cv::Mat crops = image::crops_of(run->source());
  const auto restored = restore_small(run, crops, largest_tile_, true, scheduler_);
  if (!restored) return restored.error();
  return predictor.probability(image::measure_gain_features(run->source(), crops, *restored));
}

Result<void> Score::process(const RunPtr& run) {
  if (run->is_settled() || run->network.companion != inference::Companion::kNone) return {};
  const auto settings = settings_.get();
  const cv::Mat& colour = run->source();
  const int scale = run->network.scale;
  const cv::Size small = image::size_within(colour.size(), settings->preview_megapixels / (scale * scale));
  if (small == colour.size()) return {};  // nothing would be lost

  const image::LostDetail lost = image::measure_lost_detail(colour, small);
  queue::ScoreParts parts{lost.mean_db, lost.worst_db, lost.noise_sigma, lost.laplacian, {}, {}};
  if (!run->small_restored.empty()) {
    parts.consistency_db =
        image::consistency_db(run->small, run->small_restored, lost.noise_sigma, static_cast<double>(small.width) / colour.cols);
  }
  // What the predictor knows is one network's gain.
  if (run->job.request.skip_good && settings->gain && settings->gain->network() == run->network.name) {
    const auto probability = gain(run, *settings->gain);
    if (!probability) return probability.error();
    parts.gain = *probability;
  }
  run->parts = parts;
  return {};
}

}  // namespace retouchd::stages
