#pragma once

#include <functional>
#include <string_view>

#include "base/result.h"
#include "queue/bounded_queue.h"
#include "queue/tile_scheduler.h"
#include "stages/outcomes.h"
#include "stages/picture_run.h"

namespace retouchd::stages {

/// Tells listeners how far a full pass is: (job, tiles done, tiles in all). Called by merge threads, must be quick.
using ProgressListener = std::function<void(queue::JobId id, int done, int total)>;

/// Picture -> tiles in the scheduler; they are views, no pixel is copied. When the last one is merged the run goes to `finished`.
/// Threads: process() from several at once for different runs.
class Tile {
 public:
  static constexpr std::string_view kName = "tile";

  Tile(queue::TileScheduler& scheduler, queue::BoundedQueue<RunPtr>& finished, Outcomes& outcomes, ProgressListener progress)
      : scheduler_(scheduler), finished_(finished), outcomes_(outcomes), progress_(std::move(progress)) {}

  [[nodiscard]] Result<void> process(const RunPtr& run);

 private:
  queue::TileScheduler& scheduler_;
  queue::BoundedQueue<RunPtr>& finished_;
  Outcomes& outcomes_;
  const ProgressListener progress_;
};

}  // namespace retouchd::stages
