#pragma once

#include <string_view>

#include "base/result.h"
#include "queue/tile_scheduler.h"
#include "stages/picture_run.h"
#include "stages/settings.h"

namespace retouchd::stages {

/// Measures what the decision about a picture needs: how much detail the preview lost, whether the restored preview agrees with
/// the original, and, where good pictures may be passed on untouched, whether restoration would improve this one (a tile of its
/// crops goes through the network for that). Threads: process() from several at once for different runs.
class Score {
 public:
  static constexpr std::string_view kName = "score";

  Score(const SettingsCell& settings, int largest_tile, queue::TileScheduler& scheduler)
      : settings_(settings), largest_tile_(largest_tile), scheduler_(scheduler) {}

  [[nodiscard]] Result<void> process(const RunPtr& run);

 private:
  [[nodiscard]] Result<double> gain(const RunPtr& run, const GainPredictor& predictor);

  const SettingsCell& settings_;
  const int largest_tile_;
  queue::TileScheduler& scheduler_;
};

}  // namespace retouchd::stages
