#include "image/noise_estimate.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <opencv2/imgproc.hpp>
#include <utility>
#include <vector>

namespace retouchd::image {
namespace {

constexpr int kBand = 64;  // rows
constexpr int kBlock = 8;
constexpr double kDarkest = 8;  // mean of a block; beyond these, noise is cut off
constexpr double kBrightest = 247;
constexpr double kQuantile = 0.10;
/// The tenth of the blocks with the least response has so much of the noise's standard deviation (measured on white noise).
constexpr double kQuantileOfNoise = 0.792;
constexpr int kRanges = 16;           // of brightness
constexpr std::size_t kEnough = 64;   // blocks of a range that tell its noise
constexpr double kKernelEnergy = 36;  // sum of the squares of [1 -2 1; -2 4 -2; 1 -2 1]

/// The rows around one row of the picture, and what is added up over them.
struct Sums {
  explicit Sums(std::size_t width) : vertical(width), response(width), brightness(width) {}

  std::vector<std::int16_t> vertical;     ///< second difference along the column
  std::vector<std::int32_t> response;     ///< squares of the kernel's response, over the rows of a block
  std::vector<std::uint16_t> brightness;  ///< over the rows of a block
  double laplacian = 0;
  double laplacian_squared = 0;

  void add_row(const std::uint8_t* above, const std::uint8_t* row, const std::uint8_t* below) {
    // Plain pointers: the compiler turns the loops into vector instructions.
    const std::size_t width = vertical.size();
    std::int16_t* second = vertical.data();
    std::int32_t* squared = response.data();
    std::uint16_t* bright = brightness.data();
    for (std::size_t x = 0; x < width; ++x) {
      second[x] = static_cast<std::int16_t>(above[x] - 2 * row[x] + below[x]);
      bright[x] = static_cast<std::uint16_t>(bright[x] + row[x]);
    }
    std::int32_t sum = 0;
    std::int64_t squares = 0;
    for (std::size_t x = 1; x + 1 < width; ++x) {
      const auto noise = static_cast<std::int16_t>(second[x - 1] - 2 * second[x] + second[x + 1]);
      const auto detail = static_cast<std::int16_t>(second[x] + row[x - 1] - 2 * row[x] + row[x + 1]);
      squared[x] += noise * noise;
      sum += detail;
      squares += detail * detail;
    }
    laplacian += sum;
    laplacian_squared += static_cast<double>(squares);
  }

  /// Means of the blocks that the rows since the last call belong to.
  void take_blocks(float* responses, float* bright) {
    for (std::size_t first = 1; first + kBlock < vertical.size(); first += kBlock) {
      double squared = 0;
      double sum = 0;
      for (std::size_t x = first; x < first + kBlock; ++x) {
        squared += response[x];
        sum += brightness[x];
      }
      *responses++ = static_cast<float>(squared / (kBlock * kBlock * kKernelEnergy));
      *bright++ = static_cast<float>(sum / (kBlock * kBlock));
    }
    std::fill(response.begin(), response.end(), 0);
    std::fill(brightness.begin(), brightness.end(), static_cast<std::uint16_t>(0));
  }
};

double variance_of(std::vector<float> responses) {
  if (responses.empty()) return 0;
  const auto calm = responses.begin() + static_cast<std::ptrdiff_t>(kQuantile * static_cast<double>(responses.size()));
  std::nth_element(responses.begin(), calm, responses.end());
  return static_cast<double>(*calm) / (kQuantileOfNoise * kQuantileOfNoise);
}

bool is_telling(float brightness) { return brightness >= kDarkest && brightness <= kBrightest; }

std::size_t range_of(float brightness) { return static_cast<std::size_t>(brightness) * kRanges / 256; }

/// `responses`: of each block, variances as far as they come from noise; replaced by what is expected at the block's brightness.
/// Returns the variance of the whole.
double expect_noise(cv::Mat& responses, const cv::Mat& brightness) {
  std::vector<float> all;
  std::array<std::vector<float>, kRanges> by_range;
  for (int y = 0; y < responses.rows; ++y) {
    for (int x = 0; x < responses.cols; ++x) {
      const float bright = brightness.at<float>(y, x);
      if (!is_telling(bright)) continue;
      all.push_back(responses.at<float>(y, x));
      by_range[range_of(bright)].push_back(all.back());
    }
  }
  const double whole = variance_of(std::move(all));
  std::array<double, kRanges> variances{};
  for (std::size_t i = 0; i < kRanges; ++i)
    variances[i] = by_range[i].size() < kEnough ? whole : variance_of(std::move(by_range[i]));
  for (int y = 0; y < responses.rows; ++y) {
    for (int x = 0; x < responses.cols; ++x) {
      const float bright = brightness.at<float>(y, x);
      float& noise = responses.at<float>(y, x);
      const auto expected = static_cast<float>(variances[range_of(bright)]);
      noise = is_telling(bright) ? expected : std::min(noise, expected);
    }
  }
  return whole;
}

}  // namespace

double in_8_bit_levels(int depth) noexcept { return depth == CV_8U ? 1.0 : depth == CV_16U ? 1.0 / 257.0 : 255.0; }

cv::Mat luma_of(const cv::Mat& colour) {
  if (colour.depth() == CV_8U) {
    cv::Mat luma = colour;
    if (colour.channels() == 3) cv::cvtColor(colour, luma, cv::COLOR_RGB2GRAY);
    return luma;
  }
  // In bands, as a large picture's brightness in full depth would take a third of its own memory.
  cv::Mat luma(colour.size(), CV_8UC1);
  cv::Mat gray;
  for (int y = 0; y < colour.rows; y += kBand) {
    const int end = std::min(y + kBand, colour.rows);
    cv::Mat band = colour.rowRange(y, end);
    if (colour.channels() == 3) {
      cv::cvtColor(band, gray, cv::COLOR_RGB2GRAY);
      band = gray;
    }
    cv::Mat to = luma.rowRange(y, end);
    band.convertTo(to, CV_8U, in_8_bit_levels(colour.depth()));
  }
  return luma;
}

FineStructure measure_fine_structure(const cv::Mat& luma) {
  // The outermost pixels have no response; what does not fill a block there is only part of the Laplacian.
  if (luma.cols < kBlock + 2 || luma.rows < kBlock + 2) return {};
  Sums sums(static_cast<std::size_t>(luma.cols));
  cv::Mat responses((luma.rows - 2) / kBlock, (luma.cols - 2) / kBlock, CV_32FC1);
  cv::Mat brightness(responses.size(), CV_32FC1);
  for (int y = 1; y + 1 < luma.rows; ++y) {
    sums.add_row(luma.ptr(y - 1), luma.ptr(y), luma.ptr(y + 1));
    if (y % kBlock == 0) sums.take_blocks(responses.ptr<float>(y / kBlock - 1), brightness.ptr<float>(y / kBlock - 1));
  }
  const double pixels = static_cast<double>(luma.cols - 2) * (luma.rows - 2);
  const double mean = sums.laplacian / pixels;
  const double variance = expect_noise(responses, brightness);
  return {std::sqrt(variance), sums.laplacian_squared / pixels - mean * mean, responses};
}

double estimate_noise(const cv::Mat& colour) { return measure_fine_structure(luma_of(colour)).noise_sigma; }

}  // namespace retouchd::image
