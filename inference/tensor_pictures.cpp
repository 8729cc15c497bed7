#include "inference/tensor_pictures.h"

#include <ATen/Functions.h>

#include <array>
#include <cmath>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>
#include <vector>

#include "inference/padding.h"
#include "inference/pixel_pool.h"
#include "inference/result_rows.h"

namespace retouchd::inference {
namespace {

/// `picture` with that many channels.
cv::Mat with_channels(const cv::Mat& picture, int channels) {
  if (picture.channels() == channels) return picture;
  cv::Mat converted;
  cv::cvtColor(picture, converted, channels == 3 ? cv::COLOR_GRAY2RGB : cv::COLOR_RGB2GRAY);
  return converted;
}

at::ScalarType scalar_type(int depth) { return depth == CV_8U ? at::kByte : depth == CV_16U ? at::kShort : at::kFloat; }

int depth_of(const at::Tensor& tensor) {
  const at::ScalarType type = tensor.scalar_type();
  return type == at::kByte ? CV_8U : type == at::kShort ? CV_16U : CV_32F;
}

/// Item `index` of a contiguous [N, H, W, C] tensor.
cv::Mat plane_of(const at::Tensor& tensor, std::int64_t index) {
  const int type = CV_MAKETYPE(depth_of(tensor), static_cast<int>(tensor.size(3)));
  void* data = static_cast<char*>(tensor.data_ptr()) + index * tensor.stride(0) * tensor.element_size();
  return {static_cast<int>(tensor.size(1)), static_cast<int>(tensor.size(2)), type, data};
}

/// Writes `picture` padded: times `factor` to a plane of floats, else as it is.
void fill(const cv::Mat& picture, double factor, cv::Mat plane) {
  if (plane.depth() == CV_32F) return fill_padded(picture, factor, plane);
  const int right = plane.cols - picture.cols;
  const int below = plane.rows - picture.rows;
  if (right == 0 && below == 0) return picture.convertTo(plane, plane.depth());
  cv::Mat wide = picture;
  if (picture.depth() != plane.depth()) picture.convertTo(wide, plane.depth());
  cv::copyMakeBorder(wide, plane, 0, below, 0, right, cv::BORDER_REFLECT_101 | cv::BORDER_ISOLATED);
}

void fill_window(const NetworkInfo& info, const Window& window, const at::Tensor& input, std::int64_t index) {
  const cv::Mat& colour = window.colour;
  const double factor = input_factor(info, colour);
  if (places_in_batch(info, window) == 3) {
    std::vector<cv::Mat> planes;
    cv::split(colour, planes);
    for (int c = 0; c < 3; ++c) fill(planes[static_cast<std::size_t>(c)], factor, plane_of(input, index + c));
    return;
  }
  cv::Mat both = plane_of(input, index);
  if (info.companion == Companion::kNone) return fill(with_channels(colour, info.channels), factor, both);
  cv::Mat first(both.size(), CV_MAKETYPE(both.depth(), info.channels));
  fill(with_channels(colour, info.channels), factor, first);
  const int others = both.channels() - info.channels;
  cv::Mat second(both.size(), CV_MAKETYPE(both.depth(), others));
  fill(with_channels(window.companion, others), companion_factor(info, window.companion), second);
  std::vector<int> pairs;
  for (int c = 0; c < both.channels(); ++c) pairs.insert(pairs.end(), {c, c});  // the parts' channels count through
  const std::array<cv::Mat, 2> parts{first, second};
  cv::mixChannels(parts.data(), parts.size(), &both, 1, pairs.data(), pairs.size() / 2);
}

/// `numbers` times `factor`, which brings them to [0, 1].
Restored convert(const cv::Mat& numbers, float factor, int depth) {
  Restored restored;
  restored.pixels = PixelPool::instance().picture(numbers.size(), CV_MAKETYPE(depth, numbers.channels()));
  ResultRows rows(factor, depth);
  const auto count = static_cast<std::size_t>(numbers.cols) * static_cast<std::size_t>(numbers.channels());
  for (int y = 0; y < numbers.rows; ++y) rows.convert(numbers.ptr<float>(y), count, restored.pixels.ptr(y));
  restored.values = rows.values();
  return restored;
}

/// The window's own part of item `index`.
cv::Mat part_of(const NetworkInfo& info, const at::Tensor& output, std::int64_t index, const Window& window) {
  return plane_of(output, index)(cv::Rect(0, 0, window.colour.cols * info.scale, window.colour.rows * info.scale));
}

/// The three channels were equal going in; their mean has less noise than any one of them.
cv::Mat mean_of(const cv::Mat& colours) {
  cv::Mat mean = PixelPool::instance().picture(colours.size(), CV_32FC1);
  for (int y = 0; y < colours.rows; ++y) {
    const auto* from = colours.ptr<float>(y);
    auto* to = mean.ptr<float>(y);
    for (int x = 0; x < colours.cols; ++x) to[x] = (from[3 * x] + from[3 * x + 1] + from[3 * x + 2]) * kThird;
  }
  return mean;
}

Restored picture_from(const NetworkInfo& info, const cv::Mat& part, const Window& window) {
  const bool is_mean = part.channels() == 3 && window.colour.channels() == 1;
  return convert(is_mean ? mean_of(part) : part, output_factor(info), window.depth);
}

}  // namespace

at::Tensor to_tensor(const NetworkInfo& info, cv::Size tensor, std::span<const Window> windows, int depth, bool pinned) {
  std::int64_t places = 0;
  for (const Window& window : windows) places += places_in_batch(info, window);
  at::Tensor input = at::empty({places, tensor.height, tensor.width, info.input_channels()},
                               at::TensorOptions().dtype(scalar_type(depth)).pinned_memory(pinned));
  std::int64_t next = 0;
  for (const Window& window : windows) {
    fill_window(info, window, input, next);
    next += places_in_batch(info, window);
  }
  return input;
}

void to_pictures(const NetworkInfo& info, const at::Tensor& output, std::span<const Window> windows,
                 std::span<Restored> restored) {
  std::int64_t next = 0;
  for (std::size_t i = 0; i < windows.size(); ++i) {
    const cv::Mat first = part_of(info, output, next++, windows[i]);
    if (places_in_batch(info, windows[i]) == 1) {
      restored[i] = picture_from(info, first, windows[i]);
      continue;
    }
    const std::array<cv::Mat, 3> planes{first, part_of(info, output, next, windows[i]),
                                        part_of(info, output, next + 1, windows[i])};
    next += 2;
    cv::Mat colour = PixelPool::instance().picture(first.size(), CV_32FC3);
    cv::merge(planes.data(), planes.size(), colour);
    restored[i] = convert(colour, output_factor(info), windows[i].depth);
  }
}

void to_pictures(const BatchLayout& layout, std::span<const at::Tensor> narrowed, std::span<Restored> restored) {
  const auto* extremes = narrowed.back().const_data_ptr<float>();
  std::size_t next = 0;
  for (std::size_t run = 0; run < layout.outputs.size(); ++run) {
    for (std::int64_t i = 0; i < layout.outputs[run].windows; ++i, ++next) {
      const cv::Mat pixels = plane_of(narrowed[run], i);
      Restored& one = restored[next];
      one.pixels = PixelPool::instance().picture(pixels.size(), pixels.type());
      pixels.copyTo(one.pixels);
      one.values.least = extremes[2 * next];
      one.values.most = extremes[2 * next + 1];
      one.values.is_finite = std::isfinite(one.values.least) && std::isfinite(one.values.most);
    }
  }
}

}  // namespace retouchd::inference
