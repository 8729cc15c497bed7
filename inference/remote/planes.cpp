#include "inference/remote/planes.h"

#include <array>
#include <cstring>
#include <opencv2/core.hpp>
#include <vector>

#include "inference/batch_layout.h"
#include "inference/full_scale.h"
#include "inference/padding.h"
#include "inference/pixel_pool.h"
#include "inference/result_rows.h"

namespace retouchd::inference {
namespace {

int depth_of(NumberType type) noexcept { return type == NumberType::kFp32 ? CV_32F : CV_16F; }

void fill_plane(const cv::Mat& colour, double scale, cv::Mat plane) {
  if (plane.depth() == CV_32F) return fill_padded(colour, scale, plane);
  cv::Mat full = PixelPool::instance().picture(plane.size(), CV_32FC1);
  fill_padded(colour, scale, full);
  full.convertTo(plane, plane.depth());
}

/// Reads rows of one plane, which may lie at an odd address.
class PlaneRows {
 public:
  PlaneRows(const PlaceResult& place, int channel, int columns)
      : size_(size_of(place.type)),
        stride_(static_cast<std::size_t>(place.size.width) * size_),
        begin_(place.numbers + stride_ * static_cast<std::size_t>(place.size.height) * static_cast<std::size_t>(channel)),
        received_(1, columns, CV_MAKETYPE(depth_of(place.type), 1)),
        row_(1, columns, CV_32FC1) {}

  const cv::Mat& read(int y) {
    cv::Mat& to = received_.depth() == CV_32F ? row_ : received_;
    std::memcpy(to.data, begin_ + stride_ * static_cast<std::size_t>(y), static_cast<std::size_t>(to.cols) * size_);
    if (received_.depth() != CV_32F) received_.convertTo(row_, CV_32F);
    return row_;
  }

 private:
  std::size_t size_;
  std::size_t stride_;
  const std::uint8_t* begin_;
  cv::Mat received_;
  cv::Mat row_;
};

}  // namespace

cv::Mat to_planes(const NetworkInfo& network, NumberType type, cv::Size tensor, std::span<const Window> windows) {
  int planes = 0;
  for (const Window& window : windows) planes += places_in_batch(network, window) * network.channels;
  cv::Mat all = PixelPool::instance().picture({tensor.width, planes * tensor.height}, CV_MAKETYPE(depth_of(type), 1));
  int next = 0;
  const auto plane = [&](int index) { return all.rowRange(index * tensor.height, (index + 1) * tensor.height); };
  for (const Window& window : windows) {
    const double scale = network.range / full_scale(window.colour.depth());
    std::vector<cv::Mat> colours;
    cv::split(window.colour, colours);
    const int first = next;
    for (const cv::Mat& colour : colours) fill_plane(colour, scale, plane(next++));
    // A gray picture goes to a network for colours as three equal ones.
    for (; next < first + network.channels; ++next) plane(first).copyTo(plane(next));
  }
  return all;
}

Restored from_planes(const NetworkInfo& network, std::span<const PlaceResult> places, const Window& window) {
  const cv::Size size = window.colour.size() * network.scale;
  std::vector<PlaneRows> planes;
  for (const PlaceResult& place : places) {
    for (int c = 0; c < network.channels; ++c) planes.emplace_back(place, c, size.width);
  }
  const int channels = window.colour.channels();
  Restored restored;
  restored.pixels = PixelPool::instance().picture(size, CV_MAKETYPE(window.depth, channels));
  ResultRows rows(static_cast<float>(1.0 / network.range), window.depth);
  std::vector<cv::Mat> read(planes.size());
  cv::Mat merged;
  cv::Mat mean;
  for (int y = 0; y < size.height; ++y) {
    for (std::size_t c = 0; c < planes.size(); ++c) read[c] = planes[c].read(y);
    cv::merge(read, merged);
    if (static_cast<int>(planes.size()) > channels) {
      // The three channels were equal going in; their mean has less noise than any one of them.
      const float third = 1.0F / 3.0F;
      cv::transform(merged, mean, cv::Matx13f(third, third, third));
    } else {
      mean = merged;
    }
    rows.convert(mean.ptr<float>(), static_cast<std::size_t>(size.width) * static_cast<std::size_t>(channels),
                 restored.pixels.ptr(y));
  }
  restored.values = rows.values();
  return restored;
}

}  // namespace retouchd::inference
