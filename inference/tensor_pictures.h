#pragma once

#include <ATen/core/Tensor.h>

#include <opencv2/core/mat.hpp>
#include <span>

#include "inference/device.h"
#include "inference/network_info.h"

namespace retouchd::inference {

// Between pictures (cv::Mat, whole numbers) and tensors ([N, H, W, C] fp32).

/// Windows of one batch as the input that `info` describes, padded at the right and bottom by reflection up to `tensor`. A colour
/// window of a network with one channel takes three places in the batch, one for each colour.
[[nodiscard]] at::Tensor to_tensor(const NetworkInfo& info, cv::Size tensor, std::span<const Window> windows, bool pinned);

/// The windows' own parts of `output`, a CPU tensor, as Device::restore() returns them. Their memory is PixelPool's.
void to_pictures(const NetworkInfo& info, const at::Tensor& output, std::span<const Window> windows,
                 std::span<Restored> restored);

}  // namespace retouchd::inference
