#pragma once

#include <ATen/core/Tensor.h>

#include <opencv2/core/types.hpp>

#include "inference/networks/torch_network.h"
#include "inference/validation.h"

namespace retouchd::inference {

/// Of two CPU tensors of the same shape.
[[nodiscard]] Difference difference_of(const at::Tensor& result, const at::Tensor& reference, const NetworkInfo& network);

/// [1, side, side, channels]: smooth shades, edges and grain, always the same; depth from one to five metres with holes.
[[nodiscard]] at::Tensor generated_input(const NetworkInfo& network, int side);
/// The upper left part of it.
[[nodiscard]] at::Tensor generated_input(const NetworkInfo& network, cv::Size size);

/// A side for generated_input() that the network takes.
[[nodiscard]] int validation_side(const NetworkInfo& network);

}  // namespace retouchd::inference
