#pragma once

#include <opencv2/core/mat.hpp>

#include "stages/tile_plan.h"

namespace retouchd::stages {

/// How visible the borders of the tiles are in a finished picture: 1 not at all, above kVisibleSeam clearly.
///
///   ratio = (1 + mean of f(s) over the borders) / (1 + mean of f(s) over places beside them),   f(s) = s / (1 + s / 8)
///
/// A border is the line where one core ends and the next begins; s is the absolute difference of the pixels on both sides of a
/// line in levels of 8 bits, averaged over runs of 8 pixels along it, as the eye does: noise fades, an offset between two tiles
/// stays. f keeps the edges of things, which are far larger than seams, from outweighing them. The places beside a border are the
/// parallel lines 16, 32, ... 80 pixels away (times the scale): the same content, and the same phase in the blocks of a JPEG,
/// whose borders are no seams. The 1 is the least step that a screen shows; it makes flat pictures 1. Blended tiles are also
/// judged at the ends of their ramps; the larger of both ratios counts.
///
/// Source: our own definition. On drawn scenes of 1 megapixel with hard edges and noise it is 1.00 +- 0.03 without seams, 1.12
/// with tiles that differ by one level, 1.4 by two, 1.9 by four, 2.5 by eight.
///
/// `picture`: CV_8U, CV_16U or CV_32F, 1 or 3 channels, `scale` times as large as the plan's. 1 for a single tile. Reads only the
/// lines named above. Threads: any.
[[nodiscard]] double seam_ratio(const cv::Mat& picture, const TilePlan& plan, int scale);

inline constexpr double kVisibleSeam = 1.1;

}  // namespace retouchd::stages
