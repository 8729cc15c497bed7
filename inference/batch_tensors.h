#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "inference/batch_layout.h"

namespace retouchd::inference {

// The device's side of a batch that crosses the bus in whole numbers (tensor_pictures.h is the host's). On any LibTorch device;
// bit for bit what to_tensor() and to_pictures() compute on the host. Each operation is one kernel and one pass over memory.
//
// For a tile of 512x512 in colour (786,432 numbers), one run of each kind:
//
//                            host memory    bus      kernels   device memory
//     up     as fp32           3.9 MB         3.1 MB   0         -
//            8 bit             1.6 MB         0.8 MB   1         3.9 MB
//            16 bit            3.1 MB         1.6 MB   2         11.0 MB
//     down   as fp32           3.9 - 6.3 MB   3.1 MB   0         -
//            8 bit             1.6 MB         0.8 MB   8         35.4 MB
//            16 bit            3.1 MB         1.6 MB   9         42.5 MB
//            floats            6.3 MB         3.1 MB   3         6.3 MB
//
// Memory counts reads and writes; the first lines of both are what the host's own converting takes. One kernel of each way down
// is over two numbers a window. A range other than 1 and depth add one kernel and 6.3 MB.

/// Whole numbers as to_tensor() packed them ([places, H, W, channels], kByte, or kShort with the bits of uint16) -> what the
/// network expects of them, fp32. A tensor of kFloat is returned as it is.
[[nodiscard]] at::Tensor widen(const at::Tensor& packed, const BatchLayout& layout);

/// What a network made of it ([places, H, W, channels] fp32) -> for each of `layout.outputs` the pixels [windows, height, width,
/// channels] without their padding (kByte, kShort with the bits of uint16, or kFloat; contiguous), and as the last one the least
/// and the most number of each window [all windows, 2], fp32. Where one of a window's numbers is NaN, both of these are.
[[nodiscard]] std::vector<at::Tensor> narrow(const at::Tensor& output, const BatchLayout& layout);

}  // namespace retouchd::inference
