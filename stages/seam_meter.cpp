#include "stages/seam_meter.h"

#include <algorithm>
#include <array>
#include <opencv2/core.hpp>
#include <vector>

#include "inference/full_scale.h"

namespace retouchd::stages {
namespace {

constexpr int kRun = 8;
constexpr std::array kAside{16, 32, 48, 64, 80};
constexpr double kSaturation = 8;

/// Sum and number of steps.
struct Steps {
  double sum = 0;
  int count = 0;

  Steps& operator+=(const Steps& other) {
    sum += other.sum;
    count += other.count;
    return *this;
  }
  [[nodiscard]] double mean() const { return count > 0 ? sum / count : 0; }
};

enum class Axis { kX, kY };

int length_of(const cv::Mat& picture, Axis axis) { return axis == Axis::kX ? picture.cols : picture.rows; }

/// The steps across the line in front of `position`, in levels of 8 bits.
Steps steps_at(const cv::Mat& picture, Axis axis, int position) {
  const double level = inference::full_scale(picture.depth()) / 255.0;
  const auto line = [&](int at) {
    cv::Mat pixels;
    (axis == Axis::kX ? picture.col(at) : picture.row(at)).convertTo(pixels, CV_32F);
    return pixels;
  };
  cv::Mat difference = line(position) - line(position - 1);
  const int pixels = static_cast<int>(difference.total());
  const int run = std::min(kRun, pixels);
  const int runs = pixels / run;
  difference = difference.reshape(difference.channels(), 1).colRange(0, runs * run);
  cv::Mat means;
  cv::reduce(difference.reshape(difference.channels(), runs), means, 1, cv::REDUCE_AVG);
  means = cv::abs(means) / level;
  cv::Mat steps;
  cv::reduce(means.reshape(1, runs), steps, 1, cv::REDUCE_AVG);  // over the channels
  cv::divide(steps, 1 + steps / kSaturation, steps);
  return {cv::sum(steps)[0], runs};
}

/// Where in output pixels tiles meet: the borders themselves; with feather, where the ramps begin and end.
std::array<std::vector<int>, 2> places_of(const TileAxis& axis, bool is_feathered, int scale) {
  std::array<std::vector<int>, 2> places;
  for (std::size_t i = 1; i < axis.windows.size(); ++i) {
    const TileAxis::Window& window = axis.windows[i];
    places[0].push_back(window.begin * scale);
    if (!is_feathered) continue;
    places[1].push_back((window.begin - window.ramp_begin) * scale);
    places[1].push_back((window.begin + window.ramp_begin) * scale);
  }
  return places;
}

}  // namespace

double seam_ratio(const cv::Mat& picture, const TilePlan& plan, int scale) {
  std::array<Steps, 2> across;
  std::array<Steps, 2> beside;
  for (const Axis axis : {Axis::kX, Axis::kY}) {
    const int length = length_of(picture, axis);
    const auto places = places_of(axis == Axis::kX ? plan.x : plan.y, plan.is_feathered, scale);
    const auto is_judged = [&places](int position) {
      return std::any_of(places.begin(), places.end(), [position](const auto& of_kind) {
        return std::find(of_kind.begin(), of_kind.end(), position) != of_kind.end();
      });
    };
    for (std::size_t kind = 0; kind < places.size(); ++kind) {
      for (const int position : places[kind]) {
        if (position < 1 || position >= length) continue;
        across[kind] += steps_at(picture, axis, position);
        for (const int aside : kAside) {
          for (const int other : {position - aside * scale, position + aside * scale}) {
            if (other >= 1 && other < length && !is_judged(other)) beside[kind] += steps_at(picture, axis, other);
          }
        }
      }
    }
  }
  double worst = 0;
  for (std::size_t kind = 0; kind < across.size(); ++kind) {
    if (across[kind].count == 0 || beside[kind].count == 0) continue;
    worst = std::max(worst, (1 + across[kind].mean()) / (1 + beside[kind].mean()));
  }
  return worst > 0 ? worst : 1.0;
}

}  // namespace retouchd::stages
