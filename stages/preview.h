#pragma once

#include <filesystem>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "image/file_codec.h"
#include "queue/job_store.h"
#include "queue/tile_scheduler.h"
#include "stages/observer.h"
#include "stages/picture_run.h"
#include "stages/settings.h"

namespace retouchd::stages {

struct PreviewOptions {
  std::filesystem::path folder;  ///< where previews go, named by the job's id
  int largest_tile = 512;
};

/// Picture -> a small restored copy, as a JPEG that is announced before the full pass starts, and for the stages that decide. Its
/// tiles overtake those of full passes; the stage's thread waits for them. Pictures no larger than a preview get none: their
/// result is as quick. Threads: process() from several at once for different runs.
class Preview {
 public:
  static constexpr std::string_view kName = "preview";

  Preview(const SettingsCell& settings, image::FileCodec& codec, PreviewOptions options, queue::TileScheduler& scheduler,
          queue::JobStore& store, PipelineObserver& observer, const Clock& clock)
      : settings_(settings),
        codec_(codec),
        options_(std::move(options)),
        scheduler_(scheduler),
        store_(store),
        observer_(observer),
        clock_(clock) {}

  [[nodiscard]] Result<void> process(const RunPtr& run);

  /// Where the preview of a job is, once it was made.
  [[nodiscard]] static std::filesystem::path path_of(const std::filesystem::path& folder, queue::JobId id);

 private:
  /// Size of the smaller copy that this run needs; 0: none.
  [[nodiscard]] static double megapixels_for(const PictureRun& run, const Settings& settings);

  const SettingsCell& settings_;
  image::FileCodec& codec_;
  const PreviewOptions options_;
  queue::TileScheduler& scheduler_;
  queue::JobStore& store_;
  PipelineObserver& observer_;
  const Clock& clock_;
};

}  // namespace retouchd::stages
