#include "inference/comparison.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

namespace retouchd::inference {
namespace {

constexpr int kSide = 128;

/// In [0, 1), the same on every machine.
double noise(std::uint64_t index) {
  std::uint64_t x = (index + 1) * 0x9E3779B97F4A7C15ULL;  // splitmix64
  x = (x ^ (x >> 30U)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27U)) * 0x94D049BB133111EBULL;
  return static_cast<double>((x ^ (x >> 31U)) >> 11U) * 0x1.0p-53;
}

}  // namespace

Difference difference_of(const at::Tensor& result, const at::Tensor& reference, const NetworkInfo& network) {
  Difference difference;
  difference.is_finite = at::isfinite(result).all().item<bool>();
  const at::Tensor distance = (result - reference).abs().to(at::kDouble);
  difference.largest = distance.max().item<double>();
  difference.mean = distance.mean().item<double>();
  difference.reference_peak = reference.abs().max().item<double>();
  const double squares = distance.square().mean().item<double>();
  const double peak = network.companion == Companion::kDepth ? difference.reference_peak : network.range;
  difference.psnr = squares > 0 ? 10 * std::log10(peak * peak / squares) : std::numeric_limits<double>::infinity();
  return difference;
}

at::Tensor generated_input(const NetworkInfo& network, int side) {
  const int channels = network.input_channels();
  at::Tensor input = at::empty({1, side, side, channels}, at::kFloat);
  auto* data = input.data_ptr<float>();
  for (int y = 0; y < side; ++y) {
    for (int x = 0; x < side; ++x) {
      for (int c = 0; c < channels; ++c) {
        const auto index = static_cast<std::uint64_t>((y * side + x) * channels + c);
        const double shade = 0.5 + 0.3 * std::sin(0.05 * x + 0.8 * c) * std::cos(0.07 * y);
        const double edge = (x / 24 + y / 40) % 2 == 0 ? 0.1 : -0.1;
        double value = std::clamp(shade + edge + 0.1 * (noise(index) - 0.5), 0.0, 1.0) * network.range;
        if (network.companion == Companion::kDepth && c == channels - 1) {
          const bool is_hole = noise(index) < 0.05 || (x > side / 2 && x < side / 2 + 6);
          value = is_hole ? 0.0 : 1.0 + 4.0 * shade;
        }
        *data++ = static_cast<float>(value);
      }
    }
  }
  return input;
}

at::Tensor generated_input(const NetworkInfo& network, cv::Size size) {
  const at::Tensor square = generated_input(network, std::max(size.width, size.height));
  return square.narrow(1, 0, size.height).narrow(2, 0, size.width).contiguous();
}

int validation_side(const NetworkInfo& network) { return (kSide + network.multiple - 1) / network.multiple * network.multiple; }

}  // namespace retouchd::inference
