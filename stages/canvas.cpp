#include "stages/canvas.h"

namespace retouchd::stages {
namespace {

double full_scale(int type) { return CV_MAT_DEPTH(type) == CV_16U ? 65535.0 : 255.0; }

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
    pixels_ = cv::Mat::zeros(size, CV_32FC(CV_MAT_CN(type)));
  } else {
    pixels_.create(size, type);
  }
}

void Canvas::place(int index, const cv::Mat& restored) {
  const TilePlan::Tile tile = plan_.at(index);
  const cv::Rect area = plan_.is_feathered ? blended_area(plan_, index) : tile.core;
  const cv::Mat kept = restored(scaled(area - tile.window.tl(), scale_));
  if (plan_.is_feathered) {
    add_weighted(index, kept, area);
  } else {
    kept.convertTo(pixels_(scaled(area, scale_)), type_, full_scale(type_));
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
    auto* to = pixels_.ptr<float>(area.y * scale_ + y) + static_cast<std::ptrdiff_t>(area.x) * scale_ * channels;
    for (int x = 0; x < core_and_ramps.cols; ++x) {
      const float weight = row_weight * column_weights[static_cast<std::size_t>(x)];
      for (int c = 0; c < channels; ++c) to[x * channels + c] += weight * from[x * channels + c];
    }
  }
}

cv::Mat Canvas::take() {
  cv::Mat picture = std::move(pixels_);
  if (plan_.is_feathered) picture.convertTo(picture, type_, full_scale(type_));
  return picture;
}

Bytes Canvas::memory_for(cv::Size picture, int type, int scale, bool is_feathered) noexcept {
  const std::uint64_t samples =
      static_cast<std::uint64_t>(picture.area()) * static_cast<std::uint64_t>(scale * scale * CV_MAT_CN(type));
  const std::uint64_t depth = CV_MAT_DEPTH(type) == CV_16U ? 2 : 1;
  return {samples * (is_feathered ? depth + sizeof(float) : depth)};
}

}  // namespace retouchd::stages
