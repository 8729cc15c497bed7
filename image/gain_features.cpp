#include "image/gain_features.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>
#include <vector>

#include "image/noise_estimate.h"

namespace retouchd::image {
namespace {

constexpr int kCrop = 256;
constexpr int kMosaic = 2 * kCrop;
constexpr int kGrid = 8;           // of JPEG
constexpr int kReduction = 8;      // texture is looked for in a picture so much smaller
constexpr int kBorder = 40;        // pixels of a crop whose neighbours are another crop's: as far as the network sees
constexpr double kNoiseGain = 20;  // of the Laplacian with 4 neighbours: 4^2 + 4 * 1
constexpr double kCalmShare = 0.10;

bool fits_whole(cv::Size picture) { return picture.width <= kMosaic && picture.height <= kMosaic; }

int crop_side(cv::Size picture) { return std::min({kCrop, picture.width, picture.height}); }

/// Sums of the steps between neighbours, over any rectangle.
cv::Mat texture_sums(const cv::Mat& luma) {
  const cv::Size size(std::max(2, luma.cols / kReduction), std::max(2, luma.rows / kReduction));
  cv::Mat reduced;
  cv::resize(luma, reduced, size, 0, 0, cv::INTER_AREA);
  cv::Mat across;
  cv::Mat down;
  cv::Mat steps(size, CV_8UC1, cv::Scalar(0));
  cv::absdiff(reduced.colRange(1, size.width), reduced.colRange(0, size.width - 1), across);
  cv::absdiff(reduced.rowRange(1, size.height), reduced.rowRange(0, size.height - 1), down);
  steps.colRange(1, size.width) += across;
  steps.rowRange(1, size.height) += down;
  cv::Mat sums;
  cv::integral(steps, sums, CV_32S);
  return sums;
}

/// The crop with the most texture among those that begin in `origins`.
cv::Rect most_textured(const cv::Mat& sums, const cv::Rect& origins, int side) {
  cv::Rect best(origins.tl(), cv::Size(side, side));
  int most = -1;
  const auto at = [&sums](int y, int x) {
    return sums.at<int>(std::min(y / kReduction, sums.rows - 1), std::min(x / kReduction, sums.cols - 1));
  };
  for (int y = origins.y; y <= origins.y + origins.height; y += side / 4 + 1) {
    for (int x = origins.x; x <= origins.x + origins.width; x += side / 4 + 1) {
      const int texture = at(y + side, x + side) - at(y, x + side) - at(y + side, x) + at(y, x);
      if (texture <= most) continue;
      most = texture;
      best = {x, y, side, side};
    }
  }
  return best;
}

/// Where the mosaic keeps what came from one place of the picture.
std::vector<cv::Rect> cells_of(cv::Size picture) {
  if (fits_whole(picture)) return {cv::Rect({0, 0}, picture)};
  const int side = crop_side(picture);
  return {{0, 0, side, side}, {side, 0, side, side}, {0, side, side, side}, {side, side, side, side}};
}

/// Mean steps across the columns x = phase, phase + 8, ... for each of the eight phases.
std::array<double, kGrid> steps_by_phase(const cv::Mat& luma) {
  std::vector<std::uint32_t> sums(static_cast<std::size_t>(luma.cols), 0);
  for (int y = 0; y < luma.rows; ++y) {
    const std::uint8_t* row = luma.ptr(y);
    for (std::size_t x = 1; x < sums.size(); ++x) sums[x] += static_cast<std::uint32_t>(std::abs(row[x] - row[x - 1]));
  }
  std::array<double, kGrid> steps{};
  std::array<double, kGrid> counts{};
  for (std::size_t x = 1; x < sums.size(); ++x) {
    steps[x % kGrid] += sums[x];
    counts[x % kGrid] += 1;
  }
  for (std::size_t phase = 0; phase < kGrid; ++phase) steps[phase] /= std::max(1.0, counts[phase] * luma.rows);
  return steps;
}

/// The grid may begin anywhere, since pictures are cropped and turned.
double blockiness_along_rows(const cv::Mat& luma) {
  const auto steps = steps_by_phase(luma);
  double sum = 0;
  for (const double step : steps) sum += step;
  const double most = *std::max_element(steps.begin(), steps.end());
  constexpr double kHardlyAny = 0.05;  // keeps the ratio of two nothings at 1
  return (most + kHardlyAny) / ((sum - most) / (kGrid - 1) + kHardlyAny);
}

double clipped_share(const cv::Mat& luma) {
  cv::Mat inside;
  cv::inRange(luma, 2, 253, inside);
  return 1.0 - static_cast<double>(cv::countNonZero(inside)) / static_cast<double>(luma.total());
}

cv::Mat in_8_bit_values(const cv::Mat& picture) {
  cv::Mat values;
  picture.convertTo(values, CV_32F, in_8_bit_levels(picture.depth()));
  return values.reshape(1);  // channels side by side
}

/// Adds up what the network changed.
struct Residual {
  double energy = 0;
  double steps = 0;  ///< energy of the differences between neighbours along a column
  double values = 0;
  std::vector<double> blocks;  ///< mean energy of each 8x8

  void add(const cv::Mat& change, int channels) {
    energy += cv::norm(change, cv::NORM_L2SQR);
    steps += cv::norm(change.rowRange(1, change.rows), change.rowRange(0, change.rows - 1), cv::NORM_L2SQR) * change.rows /
             (change.rows - 1);
    values += static_cast<double>(change.total());
    const int width = kGrid * channels;
    for (int y = 0; y + kGrid <= change.rows; y += kGrid) {
      for (int x = 0; x + width <= change.cols; x += width)
        blocks.push_back(cv::norm(change(cv::Rect(x, y, width, kGrid)), cv::NORM_L2SQR) / (kGrid * width));
    }
  }
};

Residual residual_of(cv::Size picture, const cv::Mat& mosaic, const cv::Mat& restored) {
  const int channels = mosaic.channels();
  const cv::Mat change = in_8_bit_values(mosaic) - in_8_bit_values(restored);
  const bool is_one = fits_whole(picture);
  Residual residual;
  for (const cv::Rect& cell : cells_of(picture)) {
    // The outer border of the mosaic is left out as well: the network sees a reflection there.
    const int border = is_one ? 0 : std::min(kBorder, cell.width / 4);
    const int height = cell.height - 2 * border;
    if (height < 2) continue;
    residual.add(change(cv::Rect((cell.x + border) * channels, cell.y + border, (cell.width - 2 * border) * channels, height)),
                 channels);
  }
  return residual;
}

}  // namespace

cv::Mat crops_of(const cv::Mat& colour) {
  if (fits_whole(colour.size())) return colour;
  const int side = crop_side(colour.size());
  const cv::Mat sums = texture_sums(luma_of(colour));
  // A crop of each quarter; where quarters are smaller than crops, crops overlap.
  const cv::Size last(colour.cols - side, colour.rows - side);
  const cv::Size room(std::max(0, colour.cols / 2 - side), std::max(0, colour.rows / 2 - side));
  cv::Mat mosaic(2 * side, 2 * side, colour.type());
  const auto cells = cells_of(colour.size());
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const cv::Point first(i % 2 == 0 ? 0 : last.width - room.width, i < 2 ? 0 : last.height - room.height);
    colour(most_textured(sums, cv::Rect(first, room), side)).copyTo(mosaic(cells[i]));
  }
  return mosaic;
}

GainFeatures measure_gain_features(const cv::Mat& colour, const cv::Mat& mosaic, const cv::Mat& restored_mosaic) {
  const cv::Mat luma = luma_of(colour);
  const FineStructure fine = measure_fine_structure(luma);
  cv::Mat turned;
  cv::transpose(luma, turned);
  GainFeatures features;
  features.noise_sigma = fine.noise_sigma;
  features.blockiness = (blockiness_along_rows(luma) + blockiness_along_rows(turned)) / 2;
  features.detail = std::max(0.0, fine.laplacian - kNoiseGain * fine.noise_sigma * fine.noise_sigma);
  features.clipped = clipped_share(luma);

  Residual residual = residual_of(colour.size(), mosaic, restored_mosaic);
  if (residual.energy > 0) {
    features.residual_rms = std::sqrt(residual.energy / residual.values);
    features.residual_grain = residual.steps / (2 * residual.energy);
  }
  if (!residual.blocks.empty()) {
    const auto calm =
        residual.blocks.begin() + static_cast<std::ptrdiff_t>(kCalmShare * static_cast<double>(residual.blocks.size()));
    std::nth_element(residual.blocks.begin(), calm, residual.blocks.end());
    features.residual_calm = std::sqrt(*calm);
  }
  return features;
}

}  // namespace retouchd::image
