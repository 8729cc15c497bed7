#include "stages/provenance.h"

#include <fmt/format.h>

namespace retouchd::stages {
namespace {

std::string plan_text(const PicturePlan& plan) {
  if (plan.is_single_pass) return "single pass";
  const cv::Size tile = plan.tiles.tile;
  const int count = plan.tiles.count();
  return fmt::format("{} tile{} of {}x{}", count, count == 1 ? "" : "s", tile.width, tile.height);
}

}  // namespace

image::Provenance provenance_of(const PictureRun& run, const std::string& software) {
  image::Provenance entries{{"Software", software}, {"Network", run.network.name}};
  const auto add = [&](const char* name, std::string text) {
    if (!text.empty()) entries.emplace_back(name, std::move(text));
  };
  add("NetworkSHA256", run.network.sha256);
  add("Precision", run.computed_as);
  if (run.is_tiled.load()) add("Plan", plan_text(run.plan));
  if (run.decision.score) add("Score", fmt::format("{:.3f}", *run.decision.score));
  add("Route", std::string(queue::name_of(run.decision.route)));
  if (run.decision.level_megapixels > 0) add("LevelMegapixels", fmt::format("{:g}", run.decision.level_megapixels));
  return entries;
}

}  // namespace retouchd::stages
