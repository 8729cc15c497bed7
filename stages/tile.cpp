#include "stages/tile.h"

#include <spdlog/spdlog.h>

#include <nlohmann/json.hpp>

namespace retouchd::stages {
namespace {

/// Everything that the pixels of a tile depend on.
std::string log_key(const PictureRun& run) {
  nlohmann::json pages = nlohmann::json::array();
  const auto add = [&pages](const image::Picture& page, const TilePlan& plan) {
    pages.push_back({page.width(), page.height(), page.colour.type(), plan.tile.width, plan.tile.height, plan.count()});
  };
  add(run.picture, run.plan.tiles);
  for (std::size_t i = 0; i < run.picture.pages.size(); ++i) add(run.picture.pages[i], run.page_plans.at(i).tiles);
  return nlohmann::json{{"size", run.identity.size},
                        {"mtime_ns", run.identity.mtime_ns},
                        {"companion", {run.companion_identity.size, run.companion_identity.mtime_ns}},
                        {"source", run.job.request.source.string()},
                        {"network", run.network.id()},
                        {"computed_as", run.computed_as},
                        {"pages", std::move(pages)}}
      .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

std::filesystem::path Tile::path_of(const std::filesystem::path& folder, queue::JobId id) {
  return folder / (std::to_string(id) + ".tiles");
}

std::shared_ptr<TileLog> Tile::open_log(const PictureRun& run) const {
  const auto longer_than = std::chrono::duration<double>(settings_.get()->resume_longer_than);
  const bool is_one_tile = run.plan.tiles.count() == 1 && run.page_plans.empty();
  if (is_one_tile || run.planned_seconds().value_or(0) <= longer_than.count()) return nullptr;
  auto log = TileLog::open(path_of(options_.unfinished, run.job.id), log_key(run));
  if (log) return *std::move(log);
  spdlog::warn("job {}: finished tiles are not kept, a crash would begin the picture anew: {}", run.job.id, log.error().message);
  return nullptr;
}

PicturePasses::Ends Tile::ends_for(const RunPtr& run, const std::shared_ptr<TileLog>& log) {
  PicturePasses::Ends ends;
  ends.complete = [this, run, start = std::chrono::steady_clock::now()] {
    run->seconds["infer"] =
        Seconds(std::chrono::steady_clock::now() - start).count();  // from the first tile's wait to the last one's merge
    if (run->seam_ratio) observer_.seams_measured(*run->seam_ratio);
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
  PicturePasses passes(run, ends_for(run, log));
  run->is_tiled.store(true);
  if (log) {
    const auto resumed = log->replay([&](int index, const cv::Mat& kept) {
      ++run->resumed_tiles;
      passes.resume(index, kept);
    });
    if (!resumed) return resumed.error();
    if (*resumed > 0) {
      spdlog::info("job {}: {} of {} tiles were finished before", run->job.id, *resumed, passes.count());
      observer_.tiles_resumed(*resumed);
    }
  }
  if (!passes.push_tiles(scheduler_)) return make_error(ErrorCode::kBusy, "the daemon is stopping");
  return {};
}

}  // namespace retouchd::stages
