#include "bench/support/ranking.h"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <numeric>
#include <opencv2/imgproc.hpp>

#include "image/noise_estimate.h"
#include "image/psnr.h"

namespace retouchd::bench {

double area_under_curve(const std::vector<double>& values, const std::vector<bool>& is_member) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  double members = 0;
  double rank_sum = 0;
  for (std::size_t first = 0; first < order.size();) {
    std::size_t last = first;
    while (last < order.size() && values[order[last]] == values[order[first]]) ++last;
    const double rank = static_cast<double>(first + last + 1) / 2;  // ranks begin at 1; equal values share theirs
    for (; first < last; ++first) {
      if (!is_member[order[first]]) continue;
      members += 1;
      rank_sum += rank;
    }
  }
  const double others = static_cast<double>(values.size()) - members;
  if (members == 0 || others == 0) return std::numeric_limits<double>::quiet_NaN();
  return (rank_sum - members * (members + 1) / 2) / (members * others);
}

double true_loss_db(const cv::Mat& clean, cv::Size small) {
  const cv::Mat luma = image::luma_of(clean);
  cv::Mat reduced;
  cv::Mat enlarged;
  cv::resize(luma, reduced, small, 0, 0, cv::INTER_AREA);
  cv::resize(reduced, enlarged, luma.size(), 0, 0, cv::INTER_CUBIC);
  return std::min(100.0, image::psnr(luma, enlarged));
}

}  // namespace retouchd::bench
