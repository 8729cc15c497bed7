#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/units.h"

namespace retouchd::inference {

/// The table of contents of a weight file, whatever its format: what is in it, not the numbers.
struct WeightHeader {
  struct Entry {
    std::string dtype;                ///< as safetensors calls it: "F32", "F16", "BF16", "I64", ...
    std::vector<std::int64_t> shape;  ///< row-major; empty: a scalar
    std::uint64_t begin = 0;          ///< byte range in WeightFile::data
    std::uint64_t end = 0;
  };
  std::map<std::string, Entry> tensors;
  std::map<std::string, std::string> metadata;  ///< of safetensors; empty for the other formats

  /// Numbers in all tensors together.
  [[nodiscard]] std::uint64_t elements() const noexcept;
  /// nullptr when there is no such tensor.
  [[nodiscard]] const Entry* find(const std::string& name) const;
};

struct WeightFile {
  WeightHeader header;
  std::vector<std::uint8_t> data;  ///< all tensors, contiguous and little-endian
};

/// What the first bytes of a file say that it is.
enum class WeightFormat {
  kSafetensors,
  kPthZip,       ///< torch.save since 1.6
  kPthLegacy,    ///< torch.save before
  kTorchScript,  ///< a module with its code
  kAotInductor,  ///< a .pt2 package of native code
};

[[nodiscard]] std::string_view to_string(WeightFormat format) noexcept;

/// kBadWeights for anything else, naming the file and what it looks like.
[[nodiscard]] Result<WeightFormat> detect_weight_format(const std::filesystem::path& file);

/// Largest weight file that is read.
inline constexpr Bytes kMaxWeightFile = gibibytes(4);

/// Reads and checks the table of contents only. For .pth files the wrappers (`params`, `params_ema`, `state_dict`, ...) and
/// prefixes (`module.`) are already taken off. Nothing in the file is executed. kBadWeights names file and reason; packages with
/// code (TorchScript, AOTInductor) have no table and are refused.
[[nodiscard]] Result<WeightHeader> read_weight_header(const std::filesystem::path& file, Bytes limit = kMaxWeightFile);

/// The same with the numbers. `limit` bounds the file and the memory used.
[[nodiscard]] Result<WeightFile> read_weights(const std::filesystem::path& file, Bytes limit = kMaxWeightFile);

class ByteSource;

/// The same of any source of bytes (inference/weights/byte_source.h).
[[nodiscard]] Result<WeightFormat> detect_weight_format(const ByteSource& source);
[[nodiscard]] Result<WeightHeader> read_weight_header(const ByteSource& source, Bytes limit = kMaxWeightFile);
[[nodiscard]] Result<WeightFile> read_weights(const ByteSource& source, Bytes limit = kMaxWeightFile);

}  // namespace retouchd::inference
