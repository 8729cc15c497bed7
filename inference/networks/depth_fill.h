#pragma once

#include <ATen/core/Tensor.h>

namespace retouchd::inference {

// How "rgbd-tiny" closes holes before its network looks: no weights, a bounded neighbourhood, fp32 [N, 1, H, W] throughout, sides
// multiples of 16. Inverse depth in 1/m. training/rgbd_network.py has the same in Python.

struct FilledDepth {
  at::Tensor inverse;  ///< known values, and where there was none a mean of known ones nearby; 0 where none is near enough
  at::Tensor reached;  ///< 1 where `inverse` says something, else 0. Holes up to 64 px across are always reached
};

/// Means of known values in cells of 2, 4, 8 and 16 px, taken from the finest cells that know any and smoothed in the holes.
/// `valid` is 1 where `inverse` is known, else 0; `inverse` is 0 there.
[[nodiscard]] FilledDepth fill_depth(const at::Tensor& inverse, const at::Tensor& valid);

struct Surroundings {
  at::Tensor near;  ///< largest inverse depth among 3x3 cells of 4 px, or of coarser ones where these know none
  at::Tensor far;   ///< the smallest one
};

/// The nearest and the farthest surface around each pixel; `filled` where nothing is known.
[[nodiscard]] Surroundings surroundings_of(const at::Tensor& inverse, const at::Tensor& valid, const at::Tensor& filled);

}  // namespace retouchd::inference
