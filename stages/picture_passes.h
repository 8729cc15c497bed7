#pragma once

#include <functional>
#include <memory>
#include <opencv2/core/mat.hpp>
#include <vector>

#include "base/error.h"
#include "queue/tile_scheduler.h"
#include "stages/picture_run.h"
#include "stages/tiled_pass.h"

namespace retouchd::stages {

/// All that goes through the network for one run at full size: the colours of each page, and, where the network enlarges, its
/// alpha as a gray picture (one that is the same all over is only resized). Results replace what they were made of in the
/// run's picture; colours below full transparency are kept as they were where the size stays.
///
/// Tiles count through all passes: those of the first page's colours, of its alpha, of the second page's colours, ...
/// Threads: one; the ends are told by merge threads.
class PicturePasses {
 public:
  struct Ends {
    std::function<void()> complete;  ///< the last pass is; the run's seam_ratio is set
    std::function<void(const Error&)> failed;
    std::function<void(int done, int total)> progress;
    /// What a tile contributed; may be empty.
    std::function<void(int index, const cv::Mat& kept)> placed;
  };

  /// Memory for all results is taken here.
  PicturePasses(const RunPtr& run, Ends ends);

  /// TiledPass::resume(), before push_tiles().
  void resume(int index, const cv::Mat& kept);
  /// False when the scheduler was closed.
  [[nodiscard]] bool push_tiles(queue::TileScheduler& scheduler);

  [[nodiscard]] int count() const noexcept { return first_index_.back(); }  ///< tiles

 private:
  struct Tally;

  /// `keep` receives the result.
  void add(const cv::Mat& source, const TilePlan& plan, std::function<void(cv::Mat restored)> keep);
  void add_page(image::Picture& page, const TilePlan& plan, cv::Mat source);

  const std::shared_ptr<Tally> tally_;
  std::vector<std::shared_ptr<TiledPass>> passes_;
  std::vector<int> first_index_{0};  ///< of each pass, and one behind the last
};

}  // namespace retouchd::stages
