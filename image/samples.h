#pragma once

#include <cstddef>
#include <cstdint>
#include <opencv2/core/mat.hpp>

/// Samples as video codecs store them.
namespace retouchd::image {

enum class SampleRange {
  kFull,
  kLimited,  ///< of brightness: 16..235 of 8 bits
};

/// Rows of samples of 8 to 16 bits (bytes, or native 16-bit words where more than 8), spread to all values of as many bits or
/// more: round(v * 65535 / 1023) from 10 to 16, so that writing them back with 10 gives the same ones. `plane` is a whole CV_8UC1
/// when `bits_out` is 8, else CV_16UC1.
void spread_samples(const std::uint8_t* rows, std::size_t row_bytes, int bits, SampleRange range, int bits_out, cv::Mat& plane);

/// The same of full-range 16-bit words that hold `bits` each, to 16 in place, any number of channels.
void spread_in_place(cv::Mat& words, int bits);

/// 16-bit words, to the nearest ones that spread_in_place() makes of `bits`, any number of channels.
void snap_to_bits(cv::Mat& words, int bits);

/// Colours that were multiplied by their alpha, back to what they were. Both planes of one depth, CV_8U, CV_16U or CV_32F;
/// colours of transparent pixels become 0.
void unpremultiply(cv::Mat& colour, const cv::Mat& alpha);

}  // namespace retouchd::image
