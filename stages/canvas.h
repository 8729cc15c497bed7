#pragma once

#include <mutex>
#include <opencv2/core/mat.hpp>

#include "base/units.h"
#include "stages/tile_plan.h"

namespace retouchd::stages {

/// The picture that restored tiles are put together on.
///
/// Without feather each core is written once, straight into the pixels of the result; with feather the weighted tiles are summed
/// in fp32 first. Threads: place() from several at once for different tiles; take() by the one that knows that all are placed.
class Canvas {
 public:
  /// `type`: CV_8UC1, CV_8UC3, CV_16UC1 or CV_16UC3. The canvas is `scale` times as large as the plan's picture.
  Canvas(const TilePlan& plan, int type, int scale);

  /// `restored`: CV_32F in [0, 1] (clamped here), same channels, of the tile's window times the scale.
  void place(int index, const cv::Mat& restored);

  /// The finished picture; the canvas is empty afterwards.
  [[nodiscard]] cv::Mat take();

  /// What a canvas like this holds at most.
  [[nodiscard]] static Bytes memory_for(cv::Size picture, int type, int scale, bool is_feathered) noexcept;

 private:
  void add_weighted(int index, const cv::Mat& core_and_ramps, const cv::Rect& area);

  const TilePlan plan_;
  const int type_;
  const int scale_;
  cv::Mat pixels_;  ///< of `type_`, or CV_32F sums with feather
  std::mutex sum_mutex_;
};

}  // namespace retouchd::stages
