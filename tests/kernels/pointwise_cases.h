#pragma once

#include <cstddef>
#include <ostream>

#include "tests/kernels/reference.h"

namespace retouchd::kernels::reference {

struct PointwiseCase {
  Map map;
  int in_channels = 48;
  int out_channels = 144;
  Norm norm = Norm::kNone;
  bool weight_per_picture = false;
  bool with_bias = false;
  bool with_residual = false;
  bool in_place = false;  ///< the residual is where the result goes

  friend std::ostream& operator<<(std::ostream& to, const PointwiseCase& c) {
    return to << c.map.pictures << "x" << c.map.height << "x" << c.map.width << ", " << c.in_channels << " to " << c.out_channels
              << ", norm " << static_cast<int>(c.norm);
  }
};

/// Ragged last rows, pictures and outputs; every kernel that dispatch_pointwise() has; the network's channels.
inline std::vector<PointwiseCase> pointwise_cases() {
  return {
      {{1, 1, 1}, 48, 144, Norm::kCentred, false, true},
      {{3, 5, 9}, 48, 48, Norm::kNone, true, false, true, true},
      {{2, 11, 13}, 96, 288, Norm::kUncentred, false, true},
      {{1, 16, 17}, 128, 48, Norm::kNone, false, false, true},
      {{1, 12, 23}, 192, 576, Norm::kCentred},
      {{1, 8, 16}, 144, 8, Norm::kCentred, false, true, true},
      {{1, 13, 21}, 384, 1152, Norm::kCentred, false, true},
      {{2, 3, 7}, 384, 200, Norm::kUncentred, true, true, true},
      {{1, 9, 15}, 208, 104, Norm::kCentred},
      {{2, 9, 15}, 384, 384, Norm::kNone, true, false, true, true},
      {{1, 9, 15}, 1024, 384, Norm::kNone, false, true, true},
      {{1, 2, 3}, 1536, 16, Norm::kNone},
      {{1, 2, 3}, 208, 3 * 96 + 8, Norm::kNone, false, true},
  };
}

/// Relative error of the result. `run(call)` executes a call whose pointers are the host's.
template <typename T, typename Run>
double error_of_pointwise(const PointwiseCase& c, const Run& run) {
  const auto in_channels = static_cast<std::size_t>(c.in_channels);
  const auto out_channels = static_cast<std::size_t>(c.out_channels);
  const auto pictures = static_cast<std::size_t>(c.map.pictures);
  Picture in(c.map, c.in_channels);
  in.values = noise<T>(in.values.size(), 1.5, 1);
  for (double& value : in.values) value = static_cast<double>(to_float(from_float<T>(static_cast<float>(value + 0.5))));
  const Numbers weight = noise<T>((c.weight_per_picture ? pictures : 1) * in_channels * out_channels,
                                  1 / std::sqrt(static_cast<double>(c.in_channels)), 2);
  const Numbers bias = c.with_bias ? noise<T>(out_channels, 0.3, 3) : Numbers();
  const Numbers residual = noise<T>(in.pixels() * out_channels, 1, 4);

  const Picture normal = normalised(in, c.norm);
  Numbers expected;
  for (std::size_t picture = 0; picture < pictures; ++picture) {
    Picture one({1, c.map.height, c.map.width}, c.in_channels);
    std::copy_n(normal.values.begin() + static_cast<std::ptrdiff_t>(picture * one.values.size()), one.values.size(),
                one.values.begin());
    const auto from =
        weight.begin() + static_cast<std::ptrdiff_t>(c.weight_per_picture ? picture * in_channels * out_channels : 0);
    const Numbers its_own(from, from + static_cast<std::ptrdiff_t>(in_channels * out_channels));
    const Picture result = pointwise(one, its_own, bias, c.out_channels);
    expected.insert(expected.end(), result.values.begin(), result.values.end());
  }
  if (c.with_residual) {
    for (std::size_t i = 0; i < expected.size(); ++i) expected[i] += residual[i];
  }

  const auto in16 = stored<T>(in.values);
  const auto weight16 = stored<T>(weight);
  const auto bias32 = fp32(bias);
  const auto residual16 = stored<T>(residual);
  std::vector<T> out = c.in_place ? residual16 : std::vector<T>(expected.size(), T{0xffff});
  PointwiseCall call;
  call.number = number_of<T>;
  call.map = c.map;
  call.in_channels = c.in_channels;
  call.out_channels = c.out_channels;
  call.norm = c.norm;
  call.in = in16.data();
  call.weight = weight16.data();
  call.weight_per_picture = c.weight_per_picture;
  call.bias = c.with_bias ? bias32.data() : nullptr;
  if (c.with_residual) call.residual = c.in_place ? out.data() : residual16.data();
  call.out = out.data();
  run(call);
  return relative_error(read(out), expected);
}

}  // namespace retouchd::kernels::reference
