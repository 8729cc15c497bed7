#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/units.h"

namespace retouchd::inference {

/// The table of contents of a safetensors file (https://github.com/huggingface/safetensors, "Format").
struct SafetensorsHeader {
  struct Entry {
    std::string dtype;                ///< "F32", "F16", "BF16", "I64", ...
    std::vector<std::int64_t> shape;  ///< row-major; empty: a scalar
    std::uint64_t begin = 0;          ///< byte range in `data`
    std::uint64_t end = 0;
  };
  std::map<std::string, Entry> tensors;
  std::map<std::string, std::string> metadata;
  std::uint64_t data_offset = 0;  ///< where the data begin in the file

  [[nodiscard]] std::uint64_t elements() const noexcept;
};

struct Safetensors {
  SafetensorsHeader header;
  std::vector<std::uint8_t> data;  ///< all tensors, little-endian
};

/// Reads and checks the header only: sizes, overflow, holes, overlaps, known types. kBadWeights names file and reason.
[[nodiscard]] Result<SafetensorsHeader> read_safetensors_header(const std::filesystem::path& file);

/// Reads the whole file; nothing in it is executed. `limit` bounds the memory used.
[[nodiscard]] Result<Safetensors> read_safetensors(const std::filesystem::path& file, Bytes limit = gibibytes(4));

}  // namespace retouchd::inference
