#pragma once

#include <cstddef>
#include <cstdint>
#include <ostream>

#include "tests/kernels/reference.h"

namespace retouchd::kernels::reference {

struct PointwiseBytesCase {
  Map map;
  int in_channels = 48;
  int out_channels = 144;
  Norm norm = Norm::kCentred;
  bool with_bias = false;

  friend std::ostream& operator<<(std::ostream& to, const PointwiseBytesCase& c) {
    return to << c.map.pictures << "x" << c.map.height << "x" << c.map.width << ", " << c.in_channels << " to " << c.out_channels
              << ", norm " << static_cast<int>(c.norm);
  }
};

/// Ragged last rows, pictures and outputs; depths that are no multiple of 64 bytes; every kernel of dispatch_pointwise_bytes().
inline std::vector<PointwiseBytesCase> pointwise_bytes_cases() {
  return {
      {{1, 1, 1}, 48, 144, Norm::kCentred, true},    {{2, 11, 13}, 96, 512, Norm::kUncentred, false},
      {{1, 5, 9}, 16, 8, Norm::kNone, true},         {{1, 12, 23}, 192, 576, Norm::kCentred, false},
      {{3, 3, 7}, 144, 200, Norm::kUncentred, true}, {{1, 13, 21}, 384, 1152, Norm::kCentred, true},
      {{2, 9, 15}, 208, 104, Norm::kNone, false},
  };
}

/// Of rows of `length` values each: the multiples of its largest magnitude / 127 that they are rounded to.
struct ByteRows {
  Numbers bytes;
  Numbers scales;

  ByteRows(const Numbers& values, std::size_t length) : bytes(values.size()), scales(values.size() / length) {
    for (std::size_t row = 0; row < scales.size(); ++row) {
      double largest = 0;
      for (std::size_t i = row * length; i < (row + 1) * length; ++i) largest = std::max(largest, std::abs(values[i]));
      scales[row] = largest / 127;
      for (std::size_t i = row * length; i < (row + 1) * length; ++i)
        bytes[i] = largest > 0 ? std::nearbyint(values[i] / scales[row]) : 0;
    }
  }

  [[nodiscard]] Numbers values() const {
    Numbers values = bytes;
    for (std::size_t i = 0; i < values.size(); ++i) values[i] *= scales[i / (values.size() / scales.size())];
    return values;
  }
};

struct PointwiseBytesErrors {
  double of_products;  ///< relative to the same bytes multiplied in fp64
  double of_result;    ///< relative to the formula without bytes
};

/// `run(call)` executes a call whose pointers are the host's.
template <typename T, typename Run>
PointwiseBytesErrors errors_of_pointwise_bytes(const PointwiseBytesCase& c, const Run& run) {
  const auto in_channels = static_cast<std::size_t>(c.in_channels);
  const auto out_channels = static_cast<std::size_t>(c.out_channels);
  Picture in(c.map, c.in_channels);
  in.values = noise<T>(in.values.size(), 1.5, 1);
  for (double& value : in.values) value = static_cast<double>(to_float(from_float<T>(static_cast<float>(value + 0.5))));
  const Numbers weight = noise<T>(in_channels * out_channels, 1 / std::sqrt(static_cast<double>(c.in_channels)), 2);
  const Numbers bias = c.with_bias ? noise<T>(out_channels, 0.3, 3) : Numbers();
  const ByteRows weight_bytes(weight, in_channels);

  Picture normal = normalised(in, c.norm);
  const Picture expected = pointwise(normal, weight, bias, c.out_channels);
  normal.values = ByteRows(normal.values, in_channels).values();
  const Picture of_bytes = pointwise(normal, weight_bytes.values(), bias, c.out_channels);

  const auto in16 = stored<T>(in.values);
  const auto bias32 = fp32(bias);
  const auto scale32 = fp32(weight_bytes.scales);
  std::vector<std::int8_t> weight8(weight_bytes.bytes.size());
  std::transform(weight_bytes.bytes.begin(), weight_bytes.bytes.end(), weight8.begin(),
                 [](double byte) { return static_cast<std::int8_t>(byte); });
  std::vector<T> out(expected.values.size(), T{0xffff});
  PointwiseBytesCall call;
  call.number = number_of<T>;
  call.map = c.map;
  call.in_channels = c.in_channels;
  call.out_channels = c.out_channels;
  call.norm = c.norm;
  call.in = in16.data();
  call.weight = weight8.data();
  call.scale = scale32.data();
  call.bias = c.with_bias ? bias32.data() : nullptr;
  call.out = out.data();
  run(call);
  return {relative_error(read(out), of_bytes.values), relative_error(read(out), expected.values)};
}

}  // namespace retouchd::kernels::reference
