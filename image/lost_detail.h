#pragma once

#include <opencv2/core/mat.hpp>

namespace retouchd::image {

/// What a picture loses when only a smaller copy of it is restored and enlarged again.
struct LostDetail {
  double mean_db = 0;      ///< predicted PSNR of the enlarged copy against a restoration at full size; at most 100
  double worst_db = 0;     ///< the same in the worst tenth of its blocks of 256 px
  double noise_sigma = 0;  ///< of the brightness, in 8-bit values
  double laplacian = 0;    ///< variance of the Laplacian, for comparison

  /// What is judged, in dB: the mean, unless some part (a sharp face before a calm wall) is much worse.
  [[nodiscard]] double value() const;
};

/// Measures it without restoring anything: the picture goes down to `small` and up again as a preview does, and of what is
/// missing the noise is taken off, which restoration would have removed anyway. `colour`: CV_8U, CV_16U or CV_32F, 1 or 3
/// channels (RGB). 100 dB when `small` is not smaller. About 40 ms of a core for 7 megapixels. Threads: safe.
[[nodiscard]] LostDetail measure_lost_detail(const cv::Mat& colour, cv::Size small);

/// How well a restored preview agrees with what it was made from, in dB, at most 100: both are reduced until noise hardly counts,
/// and what noise is left is taken off. Well above 30 where only noise went; low when the network invented something or failed.
/// `small`, `restored_small`: of one of these depths; the second may be larger (super-resolution). `noise_sigma`: of the full
/// picture; `scale`: side of `small` over that of the full picture, 0..1. 0 when they cannot be compared. Threads: safe.
[[nodiscard]] double consistency_db(const cv::Mat& small, const cv::Mat& restored_small, double noise_sigma, double scale);

}  // namespace retouchd::image
