#pragma once

#include <filesystem>

#include "inference/weight_file.h"

namespace retouchd::inference {

// https://github.com/huggingface/safetensors, "Format".

/// Reads and checks the header only: sizes, overflow, holes, overlaps, known types. kBadWeights names file and reason.
[[nodiscard]] Result<WeightHeader> read_safetensors_header(const std::filesystem::path& file);

/// Reads the whole file; nothing in it is executed. `limit` bounds the memory used.
[[nodiscard]] Result<WeightFile> read_safetensors(const std::filesystem::path& file, Bytes limit = kMaxWeightFile);

}  // namespace retouchd::inference
