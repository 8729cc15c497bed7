#pragma once

#include <mutex>
#include <opencv2/core/mat.hpp>

#include "base/units.h"
#include "stages/tile_plan.h"

namespace retouchd::stages {

/// The picture that restored tiles are put together on.
///
/// Without feather each core is written once, straight into the pixels of the result; with feather the weighted tiles are summed
/// first: to 2^-24 of full scale, of numbers up to 16 times full scale (floats beyond are clamped). Threads: place() from several
/// at once for different tiles; take() by the one that knows that all are placed.
class Canvas {
 public:
  /// `type`: CV_8U, CV_16U or CV_32F with 1 or 3 channels. The canvas is `scale` times as large as the plan's picture.
  Canvas(const TilePlan& plan, int type, int scale);

  /// What of a restored window goes onto the canvas: its core, with feather and its ramps. `restored`: same channels, of the
  /// tile's window times the scale; CV_32F in [0, 1] (clamped here) with feather, of the canvas's depth without.
  [[nodiscard]] cv::Mat kept(int index, const cv::Mat& restored) const;
  [[nodiscard]] cv::Size kept_size(int index) const { return area_of(index).size() * scale_; }
  void place_kept(int index, const cv::Mat& kept);
  void place(int index, const cv::Mat& restored) { place_kept(index, kept(index, restored)); }

  /// The finished picture; the canvas is empty afterwards.
  [[nodiscard]] cv::Mat take();

  /// What a canvas like this holds at most.
  [[nodiscard]] static Bytes memory_for(cv::Size picture, int type, int scale, bool is_feathered) noexcept;

 private:
  [[nodiscard]] cv::Rect area_of(int index) const;  ///< in pixels of the source
  void add_weighted(int index, const cv::Mat& core_and_ramps, const cv::Rect& area);

  const TilePlan plan_;
  const int type_;
  const int scale_;
  cv::Mat pixels_;  ///< of `type_`; with feather sums in fixed point, which come out the same in whatever order tiles come
  std::mutex sum_mutex_;
};

}  // namespace retouchd::stages
