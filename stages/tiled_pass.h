#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/error.h"
#include "queue/tile_scheduler.h"
#include "stages/canvas.h"
#include "stages/picture_run.h"
#include "stages/tile_plan.h"

namespace retouchd::stages {

/// The type of what `network` makes of a picture of the type `source`: the same, or CV_16UC1 millimetres for depth.
[[nodiscard]] int result_type(const inference::NetworkInfo& network, int source) noexcept;

/// One picture (or its preview) going through the network tile by tile: what it is cut from, what it is put together on, and who
/// is told at the end.
///
/// Threads: `tile` cuts, `infer` reads, `merge` places, each from its own threads. Exactly one of the two ends is told, once,
/// unless the run ended elsewhere (cancelled): then none.
class TiledPass final : public queue::TileOwner {
 public:
  struct Ends {
    std::function<void(cv::Mat restored)> complete;
    std::function<void(const Error&)> failed;
    std::function<void(int done, int total)> progress;  ///< after each tile; may be empty
    /// What a tile contributed to the picture, before progress; may be empty.
    std::function<void(int index, const cv::Mat& kept)> placed;
  };

  /// `source` is RGB or gray, 8 or 16 bit; `companion` is of the same size, or empty where the network wants none. Their pixels
  /// must not change any more.
  TiledPass(RunPtr run, cv::Mat source, cv::Mat companion, TilePlan plan, bool is_preview, Ends ends);

  /// Puts all tiles into the scheduler, a preview's at once. Blocks while that is full; false when it was closed.
  [[nodiscard]] static bool push_tiles(const std::shared_ptr<TiledPass>& pass, queue::TileScheduler& scheduler);

  [[nodiscard]] bool is_abandoned() const noexcept override { return failed_.load() || run_->is_over(); }

  /// A tile of an earlier attempt, as `placed` was told of it; before push_tiles(), which then leaves it out. What does not fit
  /// the plan is ignored.
  void resume(int index, const cv::Mat& kept);

  void place(int index, const cv::Mat& restored);
  void fail(const Error& error);

  [[nodiscard]] const inference::NetworkInfo& network() const noexcept { return run_->network; }
  [[nodiscard]] int result_type() const noexcept { return result_type_; }
  /// The depth that restored windows must have: that of the result, or CV_32F where tiles are blended.
  [[nodiscard]] int tile_depth() const noexcept { return plan_.is_feathered ? CV_32F : CV_MAT_DEPTH(result_type_); }
  [[nodiscard]] cv::Rect core_of(int index) const { return plan_.at(index).core; }
  [[nodiscard]] bool is_preview() const noexcept { return is_preview_; }

 private:
  [[nodiscard]] queue::Tile tile_at(int index, std::uint64_t ticket) const;  ///< without its owner
  void count_tile();

  const RunPtr run_;
  const cv::Mat source_;
  const cv::Mat companion_;
  const TilePlan plan_;
  const bool is_preview_;
  const Ends ends_;
  const int result_type_;
  Canvas canvas_;
  std::vector<bool> resumed_;  ///< by index; fixed once tiles are pushed
  std::atomic<int> left_;
  std::atomic<bool> failed_ = false;
};

}  // namespace retouchd::stages
