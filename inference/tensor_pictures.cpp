#include "inference/tensor_pictures.h"

#include <ATen/Functions.h>

#include <array>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>
#include <vector>

#include "inference/full_scale.h"
#include "inference/padding.h"
#include "inference/pixel_pool.h"
#include "inference/result_rows.h"

namespace retouchd::inference {
namespace {

constexpr double kMillimetres = 1000.0;  // in a metre

/// A network with one channel restores each colour of a picture on its own.
int places_of(const NetworkInfo& info, const Window& window) {
  return info.channels == 1 && info.companion == Companion::kNone ? window.colour.channels() : 1;
}

double unit_of(const cv::Mat& picture) { return 1.0 / full_scale(picture.depth()); }

/// `picture` with that many channels.
cv::Mat with_channels(const cv::Mat& picture, int channels) {
  if (picture.channels() == channels) return picture;
  cv::Mat converted;
  cv::cvtColor(picture, converted, channels == 3 ? cv::COLOR_GRAY2RGB : cv::COLOR_RGB2GRAY);
  return converted;
}

/// Item `index` of a [N, H, W, C] tensor.
cv::Mat plane_of(const at::Tensor& tensor, std::int64_t index) {
  const auto channels = static_cast<int>(tensor.size(3));
  float* data = tensor.data_ptr<float>() + index * tensor.stride(0);
  return {static_cast<int>(tensor.size(1)), static_cast<int>(tensor.size(2)), CV_32FC(channels), data};
}

void fill_window(const NetworkInfo& info, const Window& window, const at::Tensor& input, std::int64_t index) {
  const cv::Mat& colour = window.colour;
  if (places_of(info, window) == 3) {
    std::vector<cv::Mat> planes;
    cv::split(colour, planes);
    for (int c = 0; c < 3; ++c)
      fill_padded(planes[static_cast<std::size_t>(c)], unit_of(colour) * info.range, plane_of(input, index + c));
    return;
  }
  if (info.companion == Companion::kNone) {
    fill_padded(with_channels(colour, info.channels), unit_of(colour) * info.range, plane_of(input, index));
    return;
  }
  const cv::Size size(static_cast<int>(input.size(2)), static_cast<int>(input.size(1)));
  cv::Mat first(size, CV_32FC(info.channels));
  fill_padded(with_channels(colour, info.channels), unit_of(colour) * info.range, first);
  const bool is_depth = info.companion == Companion::kDepth;
  cv::Mat second(size, CV_32FC(is_depth ? 1 : info.channels));
  if (is_depth) {
    fill_padded(window.companion, 1.0 / kMillimetres, second);
  } else {
    fill_padded(with_channels(window.companion, info.channels), unit_of(window.companion) * info.range, second);
  }
  cv::Mat both = plane_of(input, index);
  std::vector<int> pairs;
  for (int c = 0; c < both.channels(); ++c) pairs.insert(pairs.end(), {c, c});  // the parts' channels count through
  const std::array<cv::Mat, 2> parts{first, second};
  cv::mixChannels(parts.data(), parts.size(), &both, 1, pairs.data(), pairs.size() / 2);
}

/// `numbers` times `factor`, which brings them to [0, 1].
Restored convert(const cv::Mat& numbers, double factor, int depth) {
  Restored restored;
  restored.pixels = PixelPool::instance().picture(numbers.size(), CV_MAKETYPE(depth, numbers.channels()));
  ResultRows rows(static_cast<float>(factor), depth);
  const auto count = static_cast<std::size_t>(numbers.cols) * static_cast<std::size_t>(numbers.channels());
  for (int y = 0; y < numbers.rows; ++y) rows.convert(numbers.ptr<float>(y), count, restored.pixels.ptr(y));
  restored.values = rows.values();
  return restored;
}

/// The window's own part of item `index`.
cv::Mat part_of(const NetworkInfo& info, const at::Tensor& output, std::int64_t index, const Window& window) {
  return plane_of(output, index)(cv::Rect(0, 0, window.colour.cols * info.scale, window.colour.rows * info.scale));
}

Restored picture_from(const NetworkInfo& info, const cv::Mat& part, const Window& window) {
  if (info.companion == Companion::kDepth) return convert(part, kMillimetres / full_scale(CV_16U), window.depth);
  if (part.channels() == 3 && window.colour.channels() == 1) {
    // The three channels were equal going in; their mean has less noise than any one of them.
    const float third = 1.0F / 3.0F;
    cv::Mat mean = PixelPool::instance().picture(part.size(), CV_32FC1);
    cv::transform(part, mean, cv::Matx13f(third, third, third));
    return convert(mean, 1.0 / info.range, window.depth);
  }
  return convert(part, 1.0 / info.range, window.depth);
}

}  // namespace

at::Tensor to_tensor(const NetworkInfo& info, cv::Size tensor, std::span<const Window> windows, bool pinned) {
  std::int64_t places = 0;
  for (const Window& window : windows) places += places_of(info, window);
  at::Tensor input = at::empty({places, tensor.height, tensor.width, info.input_channels()},
                               at::TensorOptions().dtype(at::kFloat).pinned_memory(pinned));
  std::int64_t next = 0;
  for (const Window& window : windows) {
    fill_window(info, window, input, next);
    next += places_of(info, window);
  }
  return input;
}

void to_pictures(const NetworkInfo& info, const at::Tensor& output, std::span<const Window> windows,
                 std::span<Restored> restored) {
  std::int64_t next = 0;
  for (std::size_t i = 0; i < windows.size(); ++i) {
    const cv::Mat first = part_of(info, output, next++, windows[i]);
    if (places_of(info, windows[i]) == 1) {
      restored[i] = picture_from(info, first, windows[i]);
      continue;
    }
    const std::array<cv::Mat, 3> planes{first, part_of(info, output, next, windows[i]),
                                        part_of(info, output, next + 1, windows[i])};
    next += 2;
    cv::Mat colour = PixelPool::instance().picture(first.size(), CV_32FC3);
    cv::merge(planes.data(), planes.size(), colour);
    restored[i] = convert(colour, 1.0 / info.range, windows[i].depth);
  }
}

}  // namespace retouchd::inference
