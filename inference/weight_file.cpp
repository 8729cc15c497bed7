#include "inference/weight_file.h"

#include "inference/safetensors.h"

namespace retouchd::inference {

std::uint64_t WeightHeader::elements() const noexcept {
  std::uint64_t total = 0;
  for (const auto& [name, entry] : tensors) {
    std::uint64_t count = 1;
    for (const std::int64_t side : entry.shape) count *= static_cast<std::uint64_t>(side);
    total += count;
  }
  return total;
}

const WeightHeader::Entry* WeightHeader::find(const std::string& name) const {
  const auto found = tensors.find(name);
  return found != tensors.end() ? &found->second : nullptr;
}

Result<WeightFormat> detect_weight_format(const std::filesystem::path&) { return WeightFormat::kSafetensors; }

Result<WeightHeader> read_weight_header(const std::filesystem::path& file, Bytes) { return read_safetensors_header(file); }

Result<WeightFile> read_weights(const std::filesystem::path& file, Bytes limit) { return read_safetensors(file, limit); }

}  // namespace retouchd::inference
