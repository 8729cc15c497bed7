#pragma once

#include <cstdint>
#include <opencv2/core/mat.hpp>
#include <vector>

/// Files of formats that retouchd reads and does not write, for benchmarks and tests.
namespace retouchd::bench {

/// `pixels` (CV_8UC3, R, G, B) as HEIC with EXIF and XMP where given. Empty where libheif has no HEVC encoder.
[[nodiscard]] std::vector<std::uint8_t> write_heic(const cv::Mat& pixels, const std::vector<std::uint8_t>& exif = {},
                                                   const std::vector<std::uint8_t>& xmp = {});

/// `pixels` (CV_16UC3) as an uncompressed DNG of a camera with an RGGB sensor of 14 bits. Empty when it could not be written.
[[nodiscard]] std::vector<std::uint8_t> write_dng(const cv::Mat& pixels);

}  // namespace retouchd::bench
