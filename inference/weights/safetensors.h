#pragma once

#include <filesystem>

#include "inference/weights/byte_source.h"
#include "inference/weights/weight_file.h"

namespace retouchd::inference {

// Our own format of choice. https://github.com/huggingface/safetensors, "Format":
//
//   u64 length | JSON: {"name": {"dtype", "shape", "data_offsets"}, ..., "__metadata__": {text: text}} | numbers

/// Reads and checks the header only: sizes, overflow, holes, overlaps, known types. kBadWeights names file and reason.
[[nodiscard]] Result<WeightHeader> read_safetensors_header(const std::filesystem::path& file, Bytes limit = kMaxWeightFile);

/// Reads the whole file; nothing in it is executed. `limit` bounds the file.
[[nodiscard]] Result<WeightFile> read_safetensors(const std::filesystem::path& file, Bytes limit = kMaxWeightFile);

/// The same of any source; throw MalformedWeights.
[[nodiscard]] WeightHeader parse_safetensors_header(const ByteSource& source, Bytes limit);
[[nodiscard]] WeightFile parse_safetensors(const ByteSource& source, Bytes limit);

/// The bytes of a safetensors file with these tensors and header.metadata. The numbers begin at a multiple of 8 and are ordered
/// as lay_out() does. What is no UTF-8 becomes U+FFFD. kBadWeights when a tensor cannot be named so.
[[nodiscard]] Result<std::vector<std::uint8_t>> format_safetensors(const WeightFile& weights);

/// Writes that durably: complete or not at all, replacing what is there. The folder must exist.
[[nodiscard]] Result<void> write_safetensors(const std::filesystem::path& file, const WeightFile& weights);

}  // namespace retouchd::inference
