#include "stages/tile.h"

#include "stages/tiled_pass.h"

namespace retouchd::stages {

Result<void> Tile::process(const RunPtr& run) {
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
  const auto pass =
      std::make_shared<TiledPass>(run, run->picture.colour, run->companion, run->plan.tiles, false, std::move(ends));
  if (!TiledPass::push_tiles(pass, scheduler_)) return make_error(ErrorCode::kBusy, "the daemon is stopping");
  return {};
}

}  // namespace retouchd::stages
