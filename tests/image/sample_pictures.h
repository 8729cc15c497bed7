#pragma once

#include <cstdint>
#include <opencv2/core.hpp>
#include <string>
#include <vector>

#include "image/metadata.h"
#include "image/picture.h"

/// Pictures and metadata made up for tests, the same every time.
namespace retouchd::image::testing {

/// A smooth pattern without symmetry, of CV_8UC1, CV_8UC3, CV_16UC1 or CV_16UC3.
cv::Mat make_pattern(int width, int height, int type);

/// The pattern as a picture; `has_alpha` adds an alpha plane with opaque, transparent and half transparent parts.
Picture make_picture(int width, int height, int type, bool has_alpha = false);

/// Largest difference of any sample; a huge number when size or type differ.
double largest_difference(const cv::Mat& a, const cv::Mat& b);

/// A valid profile of `size` bytes (at least 144, a multiple of 4) for "RGB " or "GRAY".
ByteVector make_icc(const std::string& colour_space, std::size_t size = 600);

/// A block with maker, copyright, GPS, pixel size 1x1, a thumbnail and this orientation.
ByteVector make_exif(int orientation);

/// A packet with a title, a creator tool, orientation 6 and pixel size 1x1.
std::string make_xmp();

/// Records with one caption.
ByteVector make_iptc();

}  // namespace retouchd::image::testing
