#pragma once

#include "inference/weights/byte_source.h"
#include "inference/weights/weight_file.h"

namespace retouchd::inference {

/// Tensors of a file that torch.save wrote (`format`: kPthZip or kPthLegacy), see read_weight_header(). Nothing in it is
/// executed. Throws MalformedWeights: damaged, cut short, a tensor outside of its storage, numbers of a type that we do not read,
/// or more than `limit` of memory. Views and storages that several tensors share come out as contiguous copies.
[[nodiscard]] WeightHeader read_pth_header(const ByteSource& source, WeightFormat format, Bytes limit);
[[nodiscard]] WeightFile read_pth(const ByteSource& source, WeightFormat format, Bytes limit);

}  // namespace retouchd::inference
