#pragma once

#include <cstddef>
#include <ostream>
#include <vector>

#include "tests/kernels/reference.h"

namespace retouchd::kernels::reference {

struct DepthwiseGateCase {
  Map map;
  int hidden = 64;
  Gate gate = Gate::kGelu;
  bool with_bias = false;

  friend std::ostream& operator<<(std::ostream& to, const DepthwiseGateCase& c) {
    return to << c.map.pictures << "x" << c.map.height << "x" << c.map.width << ", " << c.hidden << " hidden, gate "
              << static_cast<int>(c.gate);
  }
};

/// Pictures of one pixel, one row and one column; strips and walks that end within the picture and beyond it; every number of
/// vectors a strip can have, and channels that do not fill the last strip (136).
inline std::vector<DepthwiseGateCase> depthwise_gate_cases() {
  return {
      {{1, 1, 1}, 64},
      {{2, 1, 19}, 64, Gate::kProduct, true},
      {{1, 23, 1}, 8, Gate::kGelu, true},
      {{2, 9, 17}, 128, Gate::kGelu, true},
      {{1, 17, 33}, 64, Gate::kGelu},
      {{3, 8, 16}, 64, Gate::kProduct},
      {{1, 10, 15}, 192, Gate::kProduct, true},
      {{2, 11, 140}, 8, Gate::kProduct, true},
      {{1, 9, 70}, 16, Gate::kGelu, true},
      {{2, 18, 43}, 24, Gate::kProduct, true},
      {{1, 9, 32}, 32, Gate::kGelu},
      {{1, 7, 29}, 40, Gate::kGelu, true},
      {{2, 5, 21}, 48, Gate::kProduct, true},
      {{1, 12, 19}, 56, Gate::kGelu},
      {{1, 9, 23}, 136, Gate::kGelu, true},
      {{1, 3, 40}, 96, Gate::kProduct, true},
  };
}

/// Relative error of the result. `run(call)` executes a call whose pointers are the host's.
template <typename T, typename Run>
double error_of_depthwise_gate(const DepthwiseGateCase& c, const Run& run) {
  const auto hidden = static_cast<std::size_t>(c.hidden);
  Picture in(c.map, 2 * c.hidden);
  in.values = noise<T>(in.values.size(), 1.5, 1);
  const Numbers weight = noise<T>(9 * 2 * hidden, 0.4, 2);
  const Numbers bias = c.with_bias ? noise<T>(2 * hidden, 0.5, 3) : Numbers();
  const Picture expected = gated(depthwise(in, weight, bias), c.gate);

  const auto in16 = stored<T>(in.values);
  const auto weight16 = stored<T>(weight);
  const auto bias32 = fp32(bias);
  std::vector<T> out(expected.values.size(), T{0xffff});
  DepthwiseGateCall call;
  call.number = number_of<T>;
  call.map = c.map;
  call.hidden = c.hidden;
  call.gate = c.gate;
  call.in = in16.data();
  call.weight = weight16.data();
  call.bias = c.with_bias ? bias32.data() : nullptr;
  call.out = out.data();
  run(call);
  return relative_error(read(out), expected.values);
}

}  // namespace retouchd::kernels::reference
