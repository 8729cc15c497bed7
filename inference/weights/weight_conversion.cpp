#include "inference/weights/weight_conversion.h"

#include <fmt/chrono.h>

#include <string_view>
#include <system_error>
#include <utility>

#include "base/file.h"
#include "inference/registry.h"
#include "inference/weights/safetensors.h"
#include "inference/weights/weight_cast.h"

namespace retouchd::inference {
namespace {

/// Everything that is written into the new file beside the numbers.
std::map<std::string, std::string> conversion_metadata(const ConversionRequest& request, WeightFormat format,
                                                       const std::string& sha256, const WeightHeader& header) {
  std::map<std::string, std::string> metadata = header.metadata;  // of a safetensors source
  metadata["source_file"] = request.source.filename().string();
  metadata["source_sha256"] = sha256;
  metadata["source_format"] = to_string(format);
  metadata["converted_by"] = request.tool;
  metadata["converted_at"] =
      fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::chrono::system_clock::to_time_t(request.when)));
  if (const std::string architecture = architecture_of(header); !architecture.empty()) metadata["arch"] = architecture;
  if (!request.task.empty()) metadata["task"] = request.task;
  if (!request.license.empty()) metadata["license"] = request.license;
  return metadata;
}

}  // namespace

bool is_derived_buffer(const std::string& name) {
  const auto dot = name.rfind('.');
  const auto last = std::string_view(name).substr(dot == std::string::npos ? 0 : dot + 1);
  return last.starts_with("relative_position_index") || last == "attn_mask";
}

Result<ConversionReport> convert_weights(const ConversionRequest& request) {
  std::error_code ignored;
  if (!request.overwrite && std::filesystem::exists(std::filesystem::symlink_status(request.target, ignored))) {
    return make_error(ErrorCode::kOutputExists, request.target.string() + " exists already");
  }
  const auto sha256 = sha256_hex_of_file(request.source);
  if (!sha256) return sha256.error();
  const auto format = detect_weight_format(request.source);
  if (!format) return format.error();
  auto weights = read_weights(request.source);
  if (!weights) return weights.error();

  ConversionReport report;
  report.source_format = *format;
  weights->header.metadata = conversion_metadata(request, *format, *sha256, weights->header);
  for (const auto& [name, entry] : weights->header.tensors) {
    if (is_derived_buffer(name)) report.left_out.push_back(name);
  }
  for (const auto& name : report.left_out) weights->header.tensors.erase(name);
  if (!request.dtype.empty()) {
    auto cast = cast_weights(*weights, request.dtype);
    if (!cast) return make_error(cast.error().code, request.source.string() + ": " + cast.error().message);
    weights = std::move(cast);
  }
  if (auto written = write_safetensors(request.target, *weights); !written) return written.error();
  for (const auto& [name, entry] : weights->header.tensors) report.size += Bytes{entry.end - entry.begin};
  report.header = std::move(weights->header);
  return report;
}

}  // namespace retouchd::inference
