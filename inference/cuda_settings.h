#pragma once

#include <ATen/core/Tensor.h>

#include "inference/precision.h"

namespace retouchd::inference {

/// Sets LibTorch up for CUDA, for all devices of the process: called when libtorch_cuda is loaded and before `device` is used.
///
/// * The allocator grows its segments instead of collecting pieces of other sizes (`expandable_segments`), where the driver can
///   and unless PYTORCH_ALLOC_CONF says otherwise: batches and tiles have many sizes, and a fragmented device runs out of memory.
/// * cuDNN tries its algorithms once for each shape and calling thread and takes the fastest, or, with `deterministic`, always
///   the same.
/// * Sums of products of fp16 and bf16 stay in fp32. (TF32 belongs to the precision: allow_tf32().)
void set_up_cuda(const at::Device& device, bool deterministic);

/// Whether what is computed next in fp32 may round products to TF32: with kTf32 alone. LibTorch lets cuDNN do it unless it is
/// told. For all devices of the process: a plain pass beside a TF32 one of another GPU may change its rounding.
void allow_tf32(Precision precision);

}  // namespace retouchd::inference
