#include "image/lost_detail.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>
#include <vector>

#include "image/noise_estimate.h"

namespace retouchd::image {
namespace {

constexpr double kMost = 100;  // dB
constexpr double kPeakSquared = 255.0 * 255.0;

/// Of an enlarged copy: part of what is missing cannot be told from noise, and values are rounded.
constexpr double kUnknownShare = 0.02;
constexpr double kRounding = 0.05;

constexpr int kBlock = 256;
constexpr double kWorstShare = 0.10;
constexpr double kWorstBonus = 3;  // dB that the worst blocks may be worse than the whole

double decibels(double squared_error) {
  return squared_error <= 0 ? kMost : std::min(kMost, 10 * std::log10(kPeakSquared / squared_error));
}

/// Down and up as the preview goes.
cv::Mat down_and_up(const cv::Mat& luma, cv::Size small) {
  cv::Mat reduced;
  cv::Mat enlarged;
  cv::resize(luma, reduced, small, 0, 0, cv::INTER_AREA);
  cv::resize(reduced, enlarged, luma.size(), 0, 0, cv::INTER_CUBIC);
  return enlarged;
}

double measure_noise_gain(double scale) {
  constexpr int kSide = 640;
  cv::Mat noise(kSide, kSide, CV_32FC1);
  cv::RNG generator(1);
  generator.fill(noise, cv::RNG::NORMAL, 0.0, 1.0);
  const int side = std::clamp(static_cast<int>(std::lround(kSide * scale)), 1, kSide - 1);
  return cv::norm(noise, down_and_up(noise, {side, side}), cv::NORM_L2SQR) / cv::norm(noise, cv::NORM_L2SQR);
}

/// Share of white noise's energy that down_and_up() takes away.
double noise_gain(double scale) {
  static std::mutex mutex;
  static std::map<int, double> known;
  const int hundredths = std::clamp(static_cast<int>(std::lround(scale * 100)), 1, 99);
  const std::lock_guard lock(mutex);
  const auto [gain, is_new] = known.try_emplace(hundredths, 0);
  if (is_new) gain->second = measure_noise_gain(hundredths / 100.0);
  return gain->second;
}

/// `picture` cut into equal parts as near to `side` as they can be.
template <class Visit>
void for_each_block(cv::Size picture, int side, const Visit& visit) {
  const int columns = std::max(1, (picture.width + side / 2) / side);
  const int rows = std::max(1, (picture.height + side / 2) / side);
  for (int y = 0; y < rows; ++y) {
    for (int x = 0; x < columns; ++x) {
      const cv::Point from(picture.width * x / columns, picture.height * y / rows);
      visit(cv::Rect(from, cv::Point(picture.width * (x + 1) / columns, picture.height * (y + 1) / rows)));
    }
  }
}

/// Mean variance of the noise in a part of the picture; `noise_variance` is the whole picture in larger steps.
double noise_in(const cv::Rect& part, cv::Size picture, const cv::Mat& noise_variance) {
  if (noise_variance.empty()) return 0;
  const auto place = [](int position, int steps, int side) { return std::min(position * steps / side, steps - 1); };
  const cv::Point from(place(part.x, noise_variance.cols, picture.width), place(part.y, noise_variance.rows, picture.height));
  const cv::Point last(place(part.br().x - 1, noise_variance.cols, picture.width),
                       place(part.br().y - 1, noise_variance.rows, picture.height));
  return cv::mean(noise_variance(cv::Rect(from, last + cv::Point(1, 1))))[0];
}

}  // namespace

double LostDetail::value() const { return std::min(mean_db, worst_db + kWorstBonus); }

LostDetail measure_lost_detail(const cv::Mat& colour, cv::Size small) {
  const cv::Mat luma = luma_of(colour);
  const FineStructure fine = measure_fine_structure(luma);
  LostDetail lost{kMost, kMost, fine.noise_sigma, fine.laplacian};
  if (luma.empty() || small.empty() || small.width > luma.cols || small.height > luma.rows || small == luma.size()) return lost;

  const double scale = std::sqrt(static_cast<double>(small.area()) / static_cast<double>(luma.total()));
  const double gain = noise_gain(scale);
  const auto predicted_db = [](double missing, double noise) {
    return decibels(std::max(missing - noise, kUnknownShare * missing + kRounding));
  };
  const cv::Mat enlarged = down_and_up(luma, small);
  double sum = 0;
  std::vector<double> blocks;
  for_each_block(luma.size(), kBlock, [&](const cv::Rect& block) {
    const double missing = cv::norm(luma(block), enlarged(block), cv::NORM_L2SQR);
    sum += missing;
    blocks.push_back(predicted_db(missing / block.area(), gain * noise_in(block, luma.size(), fine.noise_variance)));
  });
  const double pixels = static_cast<double>(luma.total());
  lost.mean_db = predicted_db(sum / pixels, gain * noise_in({{0, 0}, luma.size()}, luma.size(), fine.noise_variance));
  const auto worst = blocks.begin() + static_cast<std::ptrdiff_t>(kWorstShare * static_cast<double>(blocks.size()));
  std::nth_element(blocks.begin(), worst, blocks.end());
  lost.worst_db = *worst;
  return lost;
}

double consistency_db(const cv::Mat& small, const cv::Mat& restored_small, double noise_sigma, double scale) {
  constexpr int kReduction = 4;  // a quarter has a sixteenth of the noise's energy
  constexpr int kPart = 32;      // of the reduced picture: a tile that failed must not drown in the others
  constexpr double kBonus = 6;   // dB that one part may be worse than the whole
  constexpr double kAllowed = 0.02;
  if (small.empty() || restored_small.empty()) return 0;
  const cv::Size size(std::max(1, small.cols / kReduction), std::max(1, small.rows / kReduction));
  const auto reduce = [size](const cv::Mat& picture) {
    cv::Mat exact;
    luma_of(picture).convertTo(exact, CV_32F);
    cv::Mat reduced;
    cv::resize(exact, reduced, size, 0, 0, cv::INTER_AREA);
    return reduced;
  };
  const cv::Mat before = reduce(small);
  const cv::Mat after = reduce(restored_small);
  const double sigma = noise_sigma * std::min(1.0, scale) / kReduction;
  const auto agreement_db = [sigma](double difference) {
    return decibels(std::max(difference - sigma * sigma, kAllowed * difference));
  };
  double sum = 0;
  double worst = kMost;
  for_each_block(size, kPart, [&](const cv::Rect& part) {
    const double difference = cv::norm(before(part), after(part), cv::NORM_L2SQR);
    sum += difference;
    worst = std::min(worst, agreement_db(difference / part.area()));
  });
  return std::min(agreement_db(sum / size.area()), worst + kBonus);
}

}  // namespace retouchd::image
