#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "inference/weights/weight_file.h"

namespace retouchd::inference {

/// What `retouch convert` was asked for.
struct ConversionRequest {
  std::filesystem::path source;
  std::filesystem::path target;
  std::string dtype;    ///< "F32", "F16", "BF16"; empty: as it is
  std::string task;     ///< such as "denoise"; empty: unknown
  std::string license;  ///< of the weights; empty: unknown
  std::string tool;     ///< name and version of the program
  UnixMillis when;
  bool overwrite = false;
};

struct ConversionReport {
  WeightFormat source_format = WeightFormat::kSafetensors;
  WeightHeader header;                ///< of the file that was written
  std::vector<std::string> left_out;  ///< buffers that networks compute themselves
  Bytes size;                         ///< of all numbers
};

/// True for buffers that depend on the window size only (`relative_position_index`, `attn_mask`): no weights.
[[nodiscard]] bool is_derived_buffer(const std::string& name);

/// Reads weights of any format and writes them as safetensors, durably. kInputMissing and the like for the source, kBadWeights
/// for what is in it, kOutputExists unless `overwrite`.
[[nodiscard]] Result<ConversionReport> convert_weights(const ConversionRequest& request);

}  // namespace retouchd::inference
