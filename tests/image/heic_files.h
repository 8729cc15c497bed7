#pragma once

#include <libheif/heif.h>

#include <opencv2/core.hpp>
#include <string>

#include "image/metadata.h"

/// HEIC files made by libheif for tests: we do not write them.
namespace retouchd::image::testing {

struct HeicKind {
  int bits = 8;
  bool is_premultiplied = false;
  int orientation = 1;
  ByteVector exif = {};
  std::string xmp = {};
  ByteVector icc = {};
  heif_color_primaries primaries = heif_color_primaries_ITU_R_BT_709_5;
  heif_matrix_coefficients matrix = heif_matrix_coefficients_ITU_R_BT_601_6;
  bool is_full_range = true;
  bool is_in_boxes = true;  ///< false: the HEVC data alone say what the colours are
  const char* chroma = "444";
  int pictures = 1;
};

/// libheif was built with an encoder.
bool can_write_heic();

/// `colour` (CV_8UC1, CV_8UC3, or CV_16U holding `kind.bits`) and `alpha` (or none) as a HEIC of nearly the best quality.
ByteVector write_heic(const cv::Mat& colour, const cv::Mat& alpha, const HeicKind& kind);

/// The same of 8-bit colours in tiles of `tile` pixels side by side, as cameras of phones write them, turned by quarters
/// anticlockwise. The grid says that it has the size `said`; that of `colour` when empty.
ByteVector write_heic_grid(const cv::Mat& colour, cv::Size tile, int quarters, cv::Size said = {});

}  // namespace retouchd::image::testing
