#pragma once

#include <ATen/core/Tensor.h>

#include <opencv2/core/mat.hpp>
#include <span>

#include "inference/batch_layout.h"
#include "inference/device.h"
#include "inference/network_info.h"

namespace retouchd::inference {

// Between pictures (cv::Mat, whole numbers) and tensors in this machine's memory: fp32 as networks want them, or whole numbers
// that a GPU converts (batch_tensors.h).

/// Windows of one batch as the input that `info` describes ([N, H, W, C]), padded at the right and bottom by reflection up to
/// `tensor`. A colour window of a network with one channel takes three places in the batch, one for each colour.
/// `depth`: CV_32F for fp32 as the network expects it; CV_8U or CV_16U, at least as wide as all pictures, for the pictures' own
/// numbers as kByte or kShort (the bits of uint16).
[[nodiscard]] at::Tensor to_tensor(const NetworkInfo& info, cv::Size tensor, std::span<const Window> windows, int depth = CV_32F,
                                   bool pinned = false);

/// The windows' own parts of `output` (fp32), as Device::restore() returns them. Their memory is PixelPool's.
void to_pictures(const NetworkInfo& info, const at::Tensor& output, std::span<const Window> windows,
                 std::span<Restored> restored);

/// The same of what narrow() made of `output`.
void to_pictures(const BatchLayout& layout, std::span<const at::Tensor> narrowed, std::span<Restored> restored);

}  // namespace retouchd::inference
