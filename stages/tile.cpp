#include "stages/tile.h"

#include "stages/tile_plan.h"
#include "stages/tiled_pass.h"

namespace retouchd::stages {

Result<void> Tile::process(const RunPtr& run) {
  const TilePlan plan = plan_best_tiles(run->picture.colour.size(), run->network, largest_);
  run->tiles = plan.count();
  run->tile_side = plan.side;

  TiledPass::Ends ends;
  ends.complete = [this, run, start = std::chrono::steady_clock::now()](cv::Mat restored) {
    run->seconds["infer"] =
        Seconds(std::chrono::steady_clock::now() - start).count();  // from the first tile's wait to the last one's merge
    run->picture.colour = std::move(restored);
    RunPtr finished = run;
    // Refused only when the pipeline is closed; the job was handed back then.
    (void)finished_.push(finished);
  };
  ends.failed = [this, run](const Error& error) { outcomes_.failed(*run, error); };
  ends.progress = [this, id = run->job.id](int done, int total) { progress_(id, done, total); };
  const auto pass = std::make_shared<TiledPass>(run, run->picture.colour, plan, false, std::move(ends));
  if (!TiledPass::push_tiles(pass, scheduler_)) return make_error(ErrorCode::kBusy, "the daemon is stopping");
  return {};
}

}  // namespace retouchd::stages
