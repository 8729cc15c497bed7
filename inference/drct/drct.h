#pragma once

#include <memory>

#include "inference/drct/drct_config.h"
#include "inference/networks/torch_network.h"
#include "inference/networks/weight_reader.h"

namespace retouchd::inference {

/// DRCT (Hsu et al., CVPR Workshops 2024), which enlarges pictures: written from the paper and the shapes of its published state
/// dicts; DRCT and DRCT-L for x2, x3 and x4 load, and whatever other size. drct_plain.h defines the network.
///
///   in - mean -> 3x3 -> norm -> [group]*n -> norm -> 3x3 -> + -> 3x3 -> enlarge -> 3x3 -> + mean
///                  \______________________________________/
///
/// The optimised path keeps the map window by window, with room behind each pixel's channels for what the stages of a group add,
/// and takes a few windows at a time through a whole stage; only the stage's result is written. ForwardOptions::strip_pixels
/// bounds how many windows those are and how many rows are enlarged at a time.
///
/// Precisions: kMixed computes the stages in bf16 and everything between and around them in fp32, which is 10 % of the work but
/// makes most of the error otherwise: that is the way the picture itself takes. kBf16 has everything in bf16. kFp16 computes
/// stages and convolutions in fp16, but keeps the sum that runs through the stages, and the 1x1 convolutions that read it, in
/// fp32: the sum grows from stage to stage and leaves fp16's range in networks of this family. What a stage adds can still
/// overflow, so kFp16 needs a check for NaN. kInt8 is kMixed: quantising each stage's input costs as much as the products in
/// int8 save.
///
/// Throws BadWeights.
[[nodiscard]] std::unique_ptr<TorchNetwork> make_drct(WeightReader& weights, const DrctConfig& config,
                                                      const ForwardOptions& options);

}  // namespace retouchd::inference
