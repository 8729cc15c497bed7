#pragma once

#include <opencv2/core/mat.hpp>

namespace retouchd::image {

/// What one look at every pixel's neighbours tells about a gray picture.
struct FineStructure {
  double noise_sigma = 0;  ///< standard deviation of its noise, in 8-bit values
  double laplacian = 0;    ///< variance of its Laplacian (4 neighbours), of 8-bit values: high for detail, and for noise
  cv::Mat noise_variance;  ///< CV_32FC1, one value for each block of 8x8 pixels: the noise expected at its brightness
};

/// What values of a depth (CV_8U, CV_16U, or CV_32F from 0 to 1) are multiplied with to become levels of 8 bits.
[[nodiscard]] double in_8_bit_levels(int depth) noexcept;

/// Brightness of a colour or gray picture (CV_8U, CV_16U or CV_32F, 1 or 3 channels in R, G, B order) as CV_8UC1; floats are
/// clamped to 0..1. 8-bit gray is not copied.
[[nodiscard]] cv::Mat luma_of(const cv::Mat& colour);

/// `luma`: CV_8UC1. Noise is looked for where the picture is calm: the response to [1 -2 1; -2 4 -2; 1 -2 1], blind to edges
/// along both axes and to slopes (Immerkaer 1996), is averaged over blocks of 8x8; a tenth of the blocks has less than the value
/// taken. The same is done for each of 16 ranges of brightness, since light brings noise of its own. Blocks that are nearly black
/// or white say nothing about the others, since noise is cut off there. Fine texture everywhere reads as noise. Pictures smaller
/// than a block have none. Threads: safe.
[[nodiscard]] FineStructure measure_fine_structure(const cv::Mat& luma);

/// The noise of measure_fine_structure(), of the brightness of `colour`.
[[nodiscard]] double estimate_noise(const cv::Mat& colour);

}  // namespace retouchd::image
