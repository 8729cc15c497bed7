#include "inference/trial.h"

#include <algorithm>
#include <vector>

namespace retouchd::inference {
namespace {

constexpr int kMostRounds = 9;

double median_of(std::vector<double> seconds) {
  const auto middle = seconds.begin() + static_cast<std::ptrdiff_t>(seconds.size() / 2);
  std::nth_element(seconds.begin(), middle, seconds.end());
  return *middle;
}

}  // namespace

Trial measure_by_turns(const std::function<double()>& first, const std::function<double()>& second, double budget) {
  const double first_call = first();
  const double second_call = second();
  if (std::max(first_call, second_call) > budget) return {first_call, second_call, 1};
  std::vector<double> firsts;
  std::vector<double> seconds;
  for (double spent = 0; seconds.empty() || (spent < budget && seconds.size() < kMostRounds);) {
    firsts.push_back(first());
    seconds.push_back(second());
    spent += firsts.back() + seconds.back();
  }
  return {median_of(firsts), median_of(seconds), static_cast<int>(seconds.size())};
}

}  // namespace retouchd::inference
