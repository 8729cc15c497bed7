#pragma once

#include <filesystem>
#include <string_view>

#include "base/result.h"
#include "image/file_codec.h"
#include "queue/job_store.h"
#include "queue/tile_scheduler.h"
#include "stages/observer.h"
#include "stages/picture_run.h"
#include "stages/settings.h"

namespace retouchd::stages {

/// `progressive`: restores the picture at rising sizes, each announced as a usable JPEG beside the preview, until one loses so
/// little detail that it is good enough; that one, enlarged, is the result. Otherwise the full pass follows.
/// Threads: process() from several at once for different runs; each waits for the device.
class Levels {
 public:
  static constexpr std::string_view kName = "levels";

  Levels(const SettingsCell& settings, image::FileCodec& codec, std::filesystem::path folder, int largest_tile,
         queue::TileScheduler& scheduler, queue::JobStore& store, PipelineObserver& observer)
      : settings_(settings),
        codec_(codec),
        folder_(std::move(folder)),
        largest_tile_(largest_tile),
        scheduler_(scheduler),
        store_(store),
        observer_(observer) {}

  [[nodiscard]] Result<void> process(const RunPtr& run);

 private:
  /// The restored copy of at most so many megapixels, announced.
  [[nodiscard]] Result<cv::Mat> make(const RunPtr& run, double megapixels, double predicted_db, const Settings& settings);
  [[nodiscard]] Result<void> decide(PictureRun& run);

  const SettingsCell& settings_;
  image::FileCodec& codec_;
  const std::filesystem::path folder_;
  const int largest_tile_;
  queue::TileScheduler& scheduler_;
  queue::JobStore& store_;
  PipelineObserver& observer_;
};

}  // namespace retouchd::stages
