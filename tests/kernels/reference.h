#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <random>
#include <type_traits>
#include <vector>

#include "inference/kernels/launch.h"
#include "inference/kernels/number16.h"

// The kernels' arithmetic by plain loops in fp64, from the formulas of inference/kernels/launch.h.
namespace retouchd::kernels::reference {

using Numbers = std::vector<double>;

/// [pictures][height][width][channels]
struct Picture {
  Map map;
  int channels = 0;
  Numbers values;

  Picture(const Map& of, int channel_count)
      : map(of), channels(channel_count), values(pixels() * static_cast<std::size_t>(channel_count)) {}

  [[nodiscard]] std::size_t pixels() const {
    return static_cast<std::size_t>(map.pictures) * static_cast<std::size_t>(map.height) * static_cast<std::size_t>(map.width);
  }
  [[nodiscard]] std::size_t index(int picture, int y, int x, int channel) const {
    return ((static_cast<std::size_t>(picture) * static_cast<std::size_t>(map.height) + static_cast<std::size_t>(y)) *
                static_cast<std::size_t>(map.width) +
            static_cast<std::size_t>(x)) *
               static_cast<std::size_t>(channels) +
           static_cast<std::size_t>(channel);
  }
  double& at(int picture, int y, int x, int channel) { return values[index(picture, y, x, channel)]; }
  [[nodiscard]] double at(int picture, int y, int x, int channel) const { return values[index(picture, y, x, channel)]; }
};

/// Calls `work(picture, y, x)` for each pixel.
template <typename Work>
void for_each_pixel(const Map& map, const Work& work) {
  for (int picture = 0; picture < map.pictures; ++picture) {
    for (int y = 0; y < map.height; ++y) {
      for (int x = 0; x < map.width; ++x) work(picture, y, x);
    }
  }
}

inline Picture normalised(const Picture& in, Norm norm) {
  if (norm == Norm::kNone) return in;
  Picture out = in;
  for (std::size_t pixel = 0; pixel < in.pixels(); ++pixel) {
    double* const values = &out.values[pixel * static_cast<std::size_t>(in.channels)];
    double mean = 0;
    for (int c = 0; c < in.channels; ++c) mean += values[c] / in.channels;
    double variance = 0;
    for (int c = 0; c < in.channels; ++c) variance += (values[c] - mean) * (values[c] - mean) / in.channels;
    const double rstd = 1 / std::sqrt(variance + 1e-5);
    for (int c = 0; c < in.channels; ++c) values[c] = (norm == Norm::kCentred ? values[c] - mean : values[c]) * rstd;
  }
  return out;
}

/// `weight` [out][in]; `bias` [out] or empty.
inline Picture pointwise(const Picture& in, const Numbers& weight, const Numbers& bias, int out_channels) {
  Picture out(in.map, out_channels);
  const auto in_channels = static_cast<std::size_t>(in.channels);
  for (std::size_t pixel = 0; pixel < in.pixels(); ++pixel) {
    for (std::size_t o = 0; o < static_cast<std::size_t>(out_channels); ++o) {
      double sum = bias.empty() ? 0 : bias[o];
      for (std::size_t i = 0; i < in_channels; ++i) sum += weight[o * in_channels + i] * in.values[pixel * in_channels + i];
      out.values[pixel * static_cast<std::size_t>(out_channels) + o] = sum;
    }
  }
  return out;
}

/// `weight` [9][channels]; `bias` [channels] or empty; zeros around the picture.
inline Picture depthwise(const Picture& in, const Numbers& weight, const Numbers& bias = {}) {
  Picture out(in.map, in.channels);
  for_each_pixel(in.map, [&](int picture, int y, int x) {
    for (int c = 0; c < in.channels; ++c) {
      double sum = bias.empty() ? 0 : bias[static_cast<std::size_t>(c)];
      for (int tap = 0; tap < 9; ++tap) {
        const int row = y + tap / 3 - 1;
        const int column = x + tap % 3 - 1;
        if (row < 0 || row >= in.map.height || column < 0 || column >= in.map.width) continue;
        sum += weight[static_cast<std::size_t>(tap * in.channels + c)] * in.at(picture, row, column, c);
      }
      out.at(picture, y, x, c) = sum;
    }
  });
  return out;
}

inline double gelu(double x) { return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0))); }

/// First half of the channels, gated, times the second half.
inline Picture gated(const Picture& in, Gate gate) {
  Picture out(in.map, in.channels / 2);
  for_each_pixel(in.map, [&](int picture, int y, int x) {
    for (int c = 0; c < out.channels; ++c) {
      const double first = in.at(picture, y, x, c);
      out.at(picture, y, x, c) = (gate == Gate::kGelu ? gelu(first) : first) * in.at(picture, y, x, out.channels + c);
    }
  });
  return out;
}

template <typename T>
constexpr Number number_of = std::is_same_v<T, Half> ? Number::kHalf : Number::kBfloat16;

/// The numbers as a kernel gets them.
template <typename T>
std::vector<T> stored(const Numbers& values) {
  std::vector<T> to(values.size());
  std::transform(values.begin(), values.end(), to.begin(), [](double x) { return from_float<T>(static_cast<float>(x)); });
  return to;
}

template <typename T>
Numbers read(const std::vector<T>& values) {
  Numbers to(values.size());
  std::transform(values.begin(), values.end(), to.begin(), [](T x) { return static_cast<double>(to_float(x)); });
  return to;
}

inline std::vector<float> fp32(const Numbers& values) { return {values.begin(), values.end()}; }

/// Normally distributed numbers that T holds exactly.
template <typename T>
Numbers noise(std::size_t count, double deviation, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, static_cast<float>(deviation));
  Numbers values(count);
  for (double& value : values) value = static_cast<double>(to_float(from_float<T>(normal(random))));
  return values;
}

/// |a - b| / |b| as vectors; NaN when a holds NaN.
inline double relative_error(const Numbers& a, const Numbers& b) {
  double difference = 0;
  double length = 0;
  for (std::size_t i = 0; i < b.size(); ++i) {
    difference += (a[i] - b[i]) * (a[i] - b[i]);
    length += b[i] * b[i];
  }
  return std::sqrt(difference / length);
}

}  // namespace retouchd::kernels::reference
