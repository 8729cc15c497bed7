#pragma once

#include <memory>

#include "inference/networks/torch_network.h"
#include "inference/networks/weight_reader.h"

namespace retouchd::inference {

/// The built-in depth network: completes and denoises depth with the help of the colour picture. Input: RGB, then depth in
/// metres, 0 where it is unknown. Output: depth in metres up to 65.535; 0 only where nothing is known within reach, which is 32
/// px at least.
///
///   colour -- unshuffle 2 -- 3x3 -- [block] -- 2x2/2 -- [block] -- 2x2/2 -- [block]
///                                      |                  |                   |       fuse: d + sigmoid(W [c, d]) c
///   depth -- fill -- unshuffle 2, 3x3 - + [block]*n1, 2x2/2 + [block]*n2, 2x2/2 + [block]*n3 -+
///                                                                                             |
///   fill, near, far, mixed <- shuffle 2 <- 3x3 <- [block]*n1 <- shuffle + skip <- [block]*n2 <- shuffle + skip
///
/// It thinks in inverse depth, where planes are linear and the noise of depth cameras is about the same everywhere. Per pixel it
/// chooses between the filled value and the nearest and the farthest surface around (inference/networks/depth_fill.h), and adds a
/// correction in proportion to how far these lie apart. Its receptive field is finite (95 px), so tiles can equal the whole
/// picture; sides are multiples of 16. Width and block counts are read from the shapes; training/rgbd_network.py is the same
/// network in Python. Throws BadWeights.
[[nodiscard]] std::unique_ptr<TorchNetwork> make_rgbd_tiny(WeightReader& weights);

}  // namespace retouchd::inference
