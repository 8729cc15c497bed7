#pragma once

#include <cstddef>
#include <cstdint>
#include <ostream>

#include "tests/kernels/reference.h"

namespace retouchd::kernels::reference {

struct FeedForwardCase {
  Map map;
  int channels = 48;
  int hidden = 128;
  Norm norm = Norm::kCentred;
  bool with_bias = true;
  bool bytes = false;  ///< the expansion's weights are signed bytes

  friend std::ostream& operator<<(std::ostream& to, const FeedForwardCase& c) {
    return to << c.map.pictures << "x" << c.map.height << "x" << c.map.width << ", " << c.channels << " channels, " << c.hidden
              << " hidden" << (c.bytes ? ", bytes" : "");
  }
};

/// Ragged borders, single pixels, both norms.
inline std::vector<FeedForwardCase> feed_forward_cases() {
  return {
      {{1, 8, 16}, 48, 128, Norm::kCentred, true},   {{2, 11, 19}, 48, 64, Norm::kUncentred, false},
      {{1, 9, 33}, 96, 256, Norm::kCentred, false},  {{1, 1, 1}, 96, 32, Norm::kCentred, true},
      {{2, 3, 17}, 192, 64, Norm::kUncentred, true}, {{1, 16, 5}, 48, 32, Norm::kNone, true},
  };
}

/// Weights [rows][columns] as signed bytes, a scale for each row, and what they stand for.
struct ByteWeights {
  std::vector<std::int8_t> bytes;  ///< columns rounded up to 32
  std::vector<float> scales;
  Numbers values;
};

inline ByteWeights bytes_of(const Numbers& weight, std::size_t columns) {
  const std::size_t rows = weight.size() / columns;
  const std::size_t padded = (columns + 31) / 32 * 32;
  ByteWeights result{std::vector<std::int8_t>(rows * padded), {}, Numbers(weight.size())};
  for (std::size_t row = 0; row < rows; ++row) {
    double largest = 0;
    for (std::size_t i = 0; i < columns; ++i) largest = std::max(largest, std::abs(weight[row * columns + i]));
    const auto scale = static_cast<float>(largest / 127);
    result.scales.push_back(scale);
    for (std::size_t i = 0; i < columns; ++i) {
      const double units = std::nearbyint(weight[row * columns + i] / static_cast<double>(scale));
      result.bytes[row * padded + i] = static_cast<std::int8_t>(units);
      result.values[row * columns + i] = units * static_cast<double>(scale);
    }
  }
  return result;
}

/// Relative error of the result. `run(call)` executes a call whose pointers are the host's.
template <typename T, typename Run>
double error_of_feed_forward(const FeedForwardCase& c, const Run& run) {
  const auto channels = static_cast<std::size_t>(c.channels);
  const auto hidden = static_cast<std::size_t>(c.hidden);
  Picture in(c.map, c.channels);
  in.values = noise<T>(in.values.size(), 1.5, 1);
  for (double& value : in.values) value = static_cast<double>(to_float(from_float<T>(static_cast<float>(value + 0.5))));
  Numbers expand = noise<T>(2 * hidden * channels, 1 / std::sqrt(static_cast<double>(c.channels)), 2);
  const Numbers bias = c.with_bias ? noise<T>(2 * hidden, 0.3, 3) : Numbers();
  const Numbers taps = noise<T>(9 * 2 * hidden, 0.4, 4);
  const Numbers contract = noise<T>(channels * hidden, 1 / std::sqrt(static_cast<double>(c.hidden)), 5);

  const ByteWeights bytes = bytes_of(expand, channels);
  if (c.bytes) expand = bytes.values;
  const Picture hidden_map = depthwise(pointwise(normalised(in, c.norm), expand, bias, 2 * c.hidden), taps);
  const Picture expected = pointwise(gated(hidden_map, Gate::kGelu), contract, {}, c.channels);

  const auto in16 = stored<T>(in.values);
  const auto expand16 = stored<T>(expand);
  const auto taps16 = stored<T>(taps);
  const auto contract16 = stored<T>(contract);
  const auto bias32 = fp32(bias);
  std::vector<T> out(in16.size(), T{0xffff});
  FeedForwardCall call;
  call.number = number_of<T>;
  call.map = c.map;
  call.channels = c.channels;
  call.hidden = c.hidden;
  call.norm = c.norm;
  call.in = in16.data();
  call.expand = expand16.data();
  if (c.bytes) {
    call.expand = bytes.bytes.data();
    call.expand_scale = bytes.scales.data();
  }
  call.bias = c.with_bias ? bias32.data() : nullptr;
  call.depthwise = taps16.data();
  call.contract = contract16.data();
  call.out = out.data();
  run(call);
  Numbers sum = expected.values;
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += in.values[i];
  return relative_error(read(out), sum);
}

}  // namespace retouchd::kernels::reference
