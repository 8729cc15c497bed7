#include "stages/canvas.h"

#include <algorithm>
#include <cstdint>

#include "inference/full_scale.h"

namespace retouchd::stages {
namespace {

/// One in the fixed point of blended sums: finer than the last bit of an fp32 between 0.5 and 1.
constexpr float kUnit = 1 << 24;
/// Four tiles of it still fit.
constexpr float kLargest = 16;

cv::Rect scaled(const cv::Rect& area, int scale) {
  return {area.x * scale, area.y * scale, area.width * scale, area.height * scale};
}

/// The core grown by its ramps.
cv::Rect blended_area(const TilePlan& plan, int index) {
  const TileAxis::Window& across = plan.across(index);
  const TileAxis::Window& down = plan.down(index);
  return {cv::Point(across.begin - across.ramp_begin, down.begin - down.ramp_begin),
          cv::Point(across.end + across.ramp_end, down.end + down.ramp_end)};
}

}  // namespace

Canvas::Canvas(const TilePlan& plan, int type, int scale) : plan_(plan), type_(type), scale_(scale) {
  const cv::Size size = plan.size() * scale;
  if (plan.is_feathered) {
    pixels_ = cv::Mat::zeros(size, CV_32SC(CV_MAT_CN(type)));
  } else {
    pixels_.create(size, type);
  }
}

cv::Rect Canvas::area_of(int index) const { return plan_.is_feathered ? blended_area(plan_, index) : plan_.at(index).core; }

cv::Mat Canvas::kept(int index, const cv::Mat& restored) const {
  return restored(scaled(area_of(index) - plan_.at(index).window.tl(), scale_));
}

void Canvas::place_kept(int index, const cv::Mat& kept) {
  const cv::Rect area = area_of(index);
  if (plan_.is_feathered) {
    add_weighted(index, kept, area);
  } else {
    cv::Mat place = pixels_(scaled(area, scale_));
    CV_Assert(kept.type() == type_ && kept.size() == place.size());
    kept.copyTo(place);
  }
}

void Canvas::add_weighted(int index, const cv::Mat& core_and_ramps, const cv::Rect& area) {
  const TileAxis::Window& across = plan_.across(index);
  const TileAxis::Window& down = plan_.down(index);
  const int channels = CV_MAT_CN(type_);
  std::vector<float> column_weights(static_cast<std::size_t>(core_and_ramps.cols));
  for (int x = 0; x < core_and_ramps.cols; ++x)
    column_weights[static_cast<std::size_t>(x)] = feather_weight(across, area.x + x / scale_);

  const std::lock_guard lock(sum_mutex_);  // neighbours share their ramps
  for (int y = 0; y < core_and_ramps.rows; ++y) {
    const float row_weight = feather_weight(down, area.y + y / scale_);
    const auto* from = core_and_ramps.ptr<float>(y);
    auto* to = pixels_.ptr<std::int32_t>(area.y * scale_ + y) + static_cast<std::ptrdiff_t>(area.x) * scale_ * channels;
    for (int x = 0; x < core_and_ramps.cols; ++x) {
      const float weight = row_weight * column_weights[static_cast<std::size_t>(x)];
      for (int c = 0; c < channels; ++c) {
        const float value = std::clamp(from[x * channels + c], -kLargest, kLargest);
        to[x * channels + c] += static_cast<std::int32_t>(weight * value * kUnit);
      }
    }
  }
}

cv::Mat Canvas::take() {
  cv::Mat picture = std::move(pixels_);
  if (plan_.is_feathered) picture.convertTo(picture, type_, inference::full_scale(CV_MAT_DEPTH(type_)) / kUnit);
  return picture;
}

Bytes Canvas::memory_for(cv::Size picture, int type, int scale, bool is_feathered) noexcept {
  const std::uint64_t samples =
      static_cast<std::uint64_t>(picture.area()) * static_cast<std::uint64_t>(scale * scale * CV_MAT_CN(type));
  const std::uint64_t depth = CV_ELEM_SIZE1(type);
  return {samples * (is_feathered ? depth + sizeof(float) : depth)};
}

}  // namespace retouchd::stages
