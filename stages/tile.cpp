#include "stages/tile.h"

#include <spdlog/spdlog.h>

#include <nlohmann/json.hpp>

#include "stages/seam_meter.h"

namespace retouchd::stages {
namespace {

/// Everything that the pixels of a tile depend on.
std::string log_key(const PictureRun& run) {
  const TilePlan& plan = run.plan.tiles;
  return nlohmann::json{{"size", run.identity.size},
                        {"mtime_ns", run.identity.mtime_ns},
                        {"companion", {run.companion_identity.size, run.companion_identity.mtime_ns}},
                        {"source", run.job.request.source.string()},
                        {"network", run.network.id()},
                        {"computed_as", run.computed_as},
                        {"picture", {run.picture.width(), run.picture.height()}},
                        {"type", run.picture.colour.type()},
                        {"tile", {plan.tile.width, plan.tile.height, plan.count()}}}
      .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

std::filesystem::path Tile::path_of(const std::filesystem::path& folder, queue::JobId id) {
  return folder / (std::to_string(id) + ".tiles");
}

std::shared_ptr<TileLog> Tile::open_log(const PictureRun& run) const {
  const auto longer_than = std::chrono::duration<double>(settings_.get()->resume_longer_than);
  if (run.plan.tiles.count() == 1 || run.plan.seconds.value_or(0) <= longer_than.count()) return nullptr;
  auto log = TileLog::open(path_of(options_.unfinished, run.job.id), log_key(run));
  if (log) return *std::move(log);
  spdlog::warn("job {}: finished tiles are not kept, a crash would begin the picture anew: {}", run.job.id, log.error().message);
  return nullptr;
}

TiledPass::Ends Tile::ends_for(const RunPtr& run, const std::shared_ptr<TileLog>& log) {
  TiledPass::Ends ends;
  ends.complete = [this, run, start = std::chrono::steady_clock::now()](cv::Mat restored) {
    run->seconds["infer"] =
        Seconds(std::chrono::steady_clock::now() - start).count();  // from the first tile's wait to the last one's merge
    if (run->plan.tiles.count() > 1) {
      run->seam_ratio = seam_ratio(restored, run->plan.tiles, run->network.scale);
      observer_.seams_measured(*run->seam_ratio);
    }
    run->picture.colour = std::move(restored);
    RunPtr finished = run;
    // Refused only when the pipeline is closed; the job was handed back then.
    (void)finished_.push(finished);
  };
  ends.failed = [this, run](const Error& error) { failed_(*run, error); };
  ends.progress = [this, id = run->job.id](int done, int total) { progress_(id, done, total); };
  if (log) ends.placed = [this, log](int index, const cv::Mat& kept) { log_writer_.add(log, index, kept); };
  return ends;
}

Result<void> Tile::process(const RunPtr& run) {
  const std::shared_ptr<TileLog> log = open_log(*run);
  const auto pass =
      std::make_shared<TiledPass>(run, run->picture.colour, run->companion, run->plan.tiles, false, ends_for(run, log));
  if (log) {
    const auto resumed = log->replay([&](int index, const cv::Mat& kept) { pass->resume(index, kept); });
    if (!resumed) return resumed.error();
    run->resumed_tiles = static_cast<int>(*resumed);
    if (*resumed > 0) {
      spdlog::info("job {}: {} of {} tiles were finished before", run->job.id, *resumed, run->plan.tiles.count());
      observer_.tiles_resumed(*resumed);
    }
  }
  run->is_tiled.store(true);
  if (!TiledPass::push_tiles(pass, scheduler_)) return make_error(ErrorCode::kBusy, "the daemon is stopping");
  return {};
}

}  // namespace retouchd::stages
