#pragma once

#include <memory>

#include "inference/drct/drct_weights.h"
#include "inference/networks/torch_network.h"

namespace retouchd::inference {

/// DRCT operation by operation as its paper has it, in fp32: what the lean path is validated against.
///
///   network:   x = in - mean; f = 3x3(x); out = upsampler(f + 3x3(norm(groups(norm(f))))) + mean
///   group:     x_0 = x; x_k = leaky_0.2(1x1(stage_k([x_0 .. x_{k-1}]))) for k = 1 .. 4;
///              x + 0.2 * 1x1(stage_5([x_0 .. x_4]))
///   stage:     x += attention(norm(x)); x += linear(gelu(linear(norm(x)))); gelu by erf
///   attention: between the pixels of w x w windows, per head: softmax(d^-0.5 * q k^T + position bias + mask) v, then linear;
///              d: channels of a head. Stages 2 and 4 roll the map up and left by w/2 before and back after. The mask then
///              keeps pixels apart that the rolling brought together: -100 between pixels on two sides of the seam.
///   upsampler: leaky_0.01(3x3); [3x3 to 4 (x3: 9) times the channels, pixel shuffle]; 3x3
[[nodiscard]] std::unique_ptr<TorchNetwork> make_plain_drct(DrctWeights weights, const DrctConfig& config);

}  // namespace retouchd::inference
