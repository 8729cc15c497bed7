#pragma once

#include <opencv2/core/mat.hpp>

namespace retouchd::image {

// Straight alpha and the colours below it. Pictures: CV_8U, CV_16U or CV_32F with 1 or 3 channels, alpha of the same size and
// depth with one. Threads: all safe.

/// `colour` with new values where alpha is 0: programs leave anything there (black, as a rule), and a network that sees it lets
/// it bleed into what is visible beside it. The new ones are those of the nearest visible pixels, more and more averaged with the
/// distance (push and pull over a pyramid of weighted means, Gortler et al., "The Lumigraph", 1996). Visible pixels stay. Without
/// a copy where nothing or all is hidden, or `alpha` is empty. Takes about 2 bytes per pixel beside the result.
[[nodiscard]] cv::Mat fill_hidden_colours(const cv::Mat& colour, const cv::Mat& alpha);

/// `restored` gets the values of `original` (of its size and type) where alpha is 0.
void put_back_hidden_colours(const cv::Mat& original, const cv::Mat& alpha, cv::Mat& restored);

/// Whether all values are the same.
[[nodiscard]] bool is_even(const cv::Mat& alpha);

/// Clamps an enlarged alpha to what `alpha` has within a pixel of each place: what was opaque, or transparent, with all of its
/// neighbours is so again, exactly. `enlarged`: a whole multiple of the size.
void keep_within_neighbours(const cv::Mat& alpha, cv::Mat& enlarged);

}  // namespace retouchd::image
