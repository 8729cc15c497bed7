#pragma once

#include <filesystem>
#include <functional>
#include <string_view>

#include "base/result.h"
#include "queue/bounded_queue.h"
#include "queue/tile_scheduler.h"
#include "stages/observer.h"
#include "stages/picture_passes.h"
#include "stages/picture_run.h"
#include "stages/settings.h"
#include "stages/tile_log_writer.h"

namespace retouchd::stages {

/// Tells listeners how far a full pass is: (job, tiles done, tiles in all). Called by merge threads, must be quick.
using ProgressListener = std::function<void(queue::JobId id, int done, int total)>;

/// Picture -> tiles of all its passes in the scheduler; they are views, no pixel is copied. When the last one is merged the run
/// goes to `finished`. Pictures that keep the device busy for long keep their finished tiles in a file, and begin with those of
/// an earlier attempt. Threads: process() from several at once for different runs.
class Tile {
 public:
  static constexpr std::string_view kName = "tile";

  struct Options {
    std::filesystem::path unfinished;  ///< folder of the tiles of unfinished pictures
  };

  /// What becomes of a run whose tiles failed.
  using FailureListener = std::function<void(PictureRun&, const Error&)>;

  Tile(Options options, const SettingsCell& settings, queue::TileScheduler& scheduler, queue::BoundedQueue<RunPtr>& finished,
       TileLogWriter& log_writer, PipelineObserver& observer, FailureListener failed, ProgressListener progress)
      : options_(std::move(options)),
        settings_(settings),
        scheduler_(scheduler),
        finished_(finished),
        log_writer_(log_writer),
        observer_(observer),
        failed_(std::move(failed)),
        progress_(std::move(progress)) {}

  [[nodiscard]] Result<void> process(const RunPtr& run);

  /// Where the finished tiles of an unfinished job are.
  [[nodiscard]] static std::filesystem::path path_of(const std::filesystem::path& folder, queue::JobId id);

 private:
  [[nodiscard]] std::shared_ptr<TileLog> open_log(const PictureRun& run) const;
  [[nodiscard]] PicturePasses::Ends ends_for(const RunPtr& run, const std::shared_ptr<TileLog>& log);

  const Options options_;
  const SettingsCell& settings_;
  queue::TileScheduler& scheduler_;
  queue::BoundedQueue<RunPtr>& finished_;
  TileLogWriter& log_writer_;
  PipelineObserver& observer_;
  const FailureListener failed_;
  const ProgressListener progress_;
};

}  // namespace retouchd::stages
