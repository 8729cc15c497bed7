#pragma once

#include <opencv2/core/mat.hpp>

namespace retouchd::image {

/// What tells whether restoration would improve a picture. Numbers are of 8-bit values.
struct GainFeatures {
  double noise_sigma = 0;     ///< of the brightness
  double blockiness = 1;      ///< steps across an 8-px grid, as JPEG leaves them, over steps elsewhere
  double detail = 0;          ///< energy of the Laplacian less that of the noise
  double clipped = 0;         ///< share of the pixels that are black or white
  double residual_rms = 0;    ///< what the network changed in the mosaic
  double residual_calm = 0;   ///< the same in the calmest tenth of its 8x8 blocks
  double residual_grain = 0;  ///< share of the change that differs from pixel to pixel: 1 for white noise, less for edges
};

/// At most 512x512 pixels that stand for `colour`: the picture itself where it fits, else four crops of up to 256x256, from
/// places that have texture and lie apart, side by side as [0 1; 2 3]. The same picture gives the same crops. Type as `colour`.
[[nodiscard]] cv::Mat crops_of(const cv::Mat& colour);

/// `mosaic`: crops_of(colour); `restored_mosaic`: what a network that keeps the size made of it in one tile, of the same size and
/// type. Threads: safe.
[[nodiscard]] GainFeatures measure_gain_features(const cv::Mat& colour, const cv::Mat& mosaic, const cv::Mat& restored_mosaic);

}  // namespace retouchd::image
