#include "image/alpha_channel.h"

#include <algorithm>
#include <cstdint>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>
#include <vector>

namespace retouchd::image {
namespace {

/// Side of a block of pixels that is one value on the finest level of the pyramid: memory and time, against colours that begin to
/// differ from their neighbours' within a few pixels.
constexpr int kBlock = 4;

/// Where a pixel lies between two values of a row or column, whose places are the middles of blocks.
struct Between {
  Between(int pixel, int values) {
    const float at = (static_cast<float>(pixel) + 0.5F) / kBlock - 0.5F;
    const float inside = std::clamp(at, 0.0F, static_cast<float>(values - 1));
    first = static_cast<int>(inside);
    second = std::min(first + 1, values - 1);
    share = inside - static_cast<float>(first);
  }
  int first;
  int second;
  float share;  ///< of the second
};

/// Sums of colours times alpha over each block, then of alpha.
template <class T>
cv::Mat weighted_sums(const cv::Mat& colour, const cv::Mat& alpha) {
  const int colours = colour.channels();
  cv::Mat sums = cv::Mat::zeros((colour.rows + kBlock - 1) / kBlock, (colour.cols + kBlock - 1) / kBlock, CV_32FC(colours + 1));
  for (int y = 0; y < colour.rows; ++y) {
    const T* pixel = colour.ptr<T>(y);
    const T* weights = alpha.ptr<T>(y);
    auto* row = sums.ptr<float>(y / kBlock);
    for (int x = 0; x < colour.cols; ++x, pixel += colours) {
      if (!(weights[x] > 0)) continue;
      const auto weight = static_cast<float>(weights[x]);
      float* sum = row + x / kBlock * (colours + 1);
      for (int c = 0; c < colours; ++c) sum[c] += weight * static_cast<float>(pixel[c]);
      sum[colours] += weight;
    }
  }
  return sums;
}

/// Colours of one level: its own where it has any, else those of the next coarser one.
cv::Mat colours_of(const cv::Mat& sums, const cv::Mat& coarser) {
  const int colours = sums.channels() - 1;
  cv::Mat filled(sums.size(), CV_32FC(colours));
  if (!coarser.empty()) cv::resize(coarser, filled, sums.size(), 0, 0, cv::INTER_LINEAR);
  for (int y = 0; y < sums.rows; ++y) {
    const auto* sum = sums.ptr<float>(y);
    auto* to = filled.ptr<float>(y);
    for (int x = 0; x < sums.cols; ++x, sum += colours + 1, to += colours) {
      if (!(sum[colours] > 0)) continue;
      for (int c = 0; c < colours; ++c) to[c] = sum[c] / sum[colours];
    }
  }
  return filled;
}

/// Every value defined; at least one of the sums must have weight.
cv::Mat pull(const cv::Mat& sums) {
  std::vector<cv::Mat> levels{sums};
  while (levels.back().total() > 1) {
    const cv::Size half((levels.back().cols + 1) / 2, (levels.back().rows + 1) / 2);
    cv::Mat next;
    cv::resize(levels.back(), next, half, 0, 0, cv::INTER_AREA);
    levels.push_back(next);
  }
  cv::Mat colours;
  for (; !levels.empty(); levels.pop_back()) colours = colours_of(levels.back(), colours);
  return colours;
}

template <class T>
void fill_from(const cv::Mat& level, const cv::Mat& alpha, cv::Mat& filled) {
  const int colours = filled.channels();
  std::vector<Between> columns;
  columns.reserve(static_cast<std::size_t>(filled.cols));
  for (int x = 0; x < filled.cols; ++x) columns.emplace_back(x, level.cols);
  std::vector<float> line(static_cast<std::size_t>(level.cols * colours));  // of the level, between two of its rows
  for (int y = 0; y < filled.rows; ++y) {
    const Between row(y, level.rows);
    const auto* above = level.ptr<float>(row.first);
    const auto* below = level.ptr<float>(row.second);
    for (std::size_t i = 0; i < line.size(); ++i) line[i] = above[i] + (below[i] - above[i]) * row.share;
    const T* weights = alpha.ptr<T>(y);
    T* to = filled.ptr<T>(y);
    for (int x = 0; x < filled.cols; ++x, to += colours) {
      if (weights[x] > 0) continue;
      const Between& column = columns[static_cast<std::size_t>(x)];
      const float* left = line.data() + column.first * colours;
      const float* right = line.data() + column.second * colours;
      for (int c = 0; c < colours; ++c) to[c] = cv::saturate_cast<T>(left[c] + (right[c] - left[c]) * column.share);
    }
  }
}

template <class T>
cv::Mat fill(const cv::Mat& colour, const cv::Mat& alpha) {
  const cv::Mat level = pull(weighted_sums<T>(colour, alpha));
  cv::Mat filled = colour.clone();
  fill_from<T>(level, alpha, filled);
  return filled;
}

}  // namespace

cv::Mat fill_hidden_colours(const cv::Mat& colour, const cv::Mat& alpha) {
  if (alpha.empty()) return colour;
  double least = 0;
  double most = 0;
  cv::minMaxLoc(alpha, &least, &most);
  if (least > 0 || most <= 0) return colour;
  if (colour.depth() == CV_8U) return fill<std::uint8_t>(colour, alpha);
  if (colour.depth() == CV_16U) return fill<std::uint16_t>(colour, alpha);
  return fill<float>(colour, alpha);
}

void put_back_hidden_colours(const cv::Mat& original, const cv::Mat& alpha, cv::Mat& restored) {
  if (!alpha.empty()) original.copyTo(restored, alpha <= 0);
}

bool is_even(const cv::Mat& alpha) {
  double least = 0;
  double most = 0;
  cv::minMaxLoc(alpha, &least, &most);
  return least == most;
}

void keep_within_neighbours(const cv::Mat& alpha, cv::Mat& enlarged) {
  cv::Mat bound;
  cv::Mat large;
  cv::erode(alpha, bound, cv::Mat());  // the least of 3x3
  cv::resize(bound, large, enlarged.size(), 0, 0, cv::INTER_NEAREST);
  cv::max(enlarged, large, enlarged);
  cv::dilate(alpha, bound, cv::Mat());
  cv::resize(bound, large, enlarged.size(), 0, 0, cv::INTER_NEAREST);
  cv::min(enlarged, large, enlarged);
}

}  // namespace retouchd::image
