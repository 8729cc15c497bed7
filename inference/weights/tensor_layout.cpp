#include "inference/weights/tensor_layout.h"

#include <algorithm>
#include <array>
#include <utility>

#include "inference/weights/malformed_weights.h"

namespace retouchd::inference {

std::optional<std::uint64_t> item_size(std::string_view dtype) noexcept {
  constexpr std::array<std::pair<std::string_view, std::uint64_t>, 10> kSizes{
      {{"F64", 8}, {"F32", 4}, {"F16", 2}, {"BF16", 2}, {"I64", 8}, {"I32", 4}, {"I16", 2}, {"I8", 1}, {"U8", 1}, {"BOOL", 1}}};
  const auto* found = std::find_if(kSizes.begin(), kSizes.end(), [dtype](const auto& size) { return size.first == dtype; });
  if (found == kSizes.end()) return std::nullopt;
  return found->second;
}

bool is_floating(std::string_view dtype) noexcept {
  return dtype == "F32" || dtype == "F16" || dtype == "BF16" || dtype == "F64";
}

std::optional<std::uint64_t> tensor_bytes(std::string_view dtype, const std::vector<std::int64_t>& shape) noexcept {
  const auto item = item_size(dtype);
  if (!item) return std::nullopt;
  std::uint64_t total = *item;
  for (const std::int64_t side : shape) {
    if (side < 0 || __builtin_mul_overflow(total, static_cast<std::uint64_t>(side), &total)) return std::nullopt;
  }
  return total;
}

std::uint64_t lay_out(WeightHeader& header, Bytes limit) {
  std::uint64_t end = 0;
  for (const std::uint64_t item : {8U, 4U, 2U, 1U}) {
    for (auto& [name, entry] : header.tensors) {
      if (item_size(entry.dtype) != item) continue;
      const auto bytes = tensor_bytes(entry.dtype, entry.shape);
      if (!bytes) throw MalformedWeights("tensor `" + name + "` has an impossible shape");
      if (*bytes > limit.value - end) {
        throw MalformedWeights("its tensors would take more than " + to_string(limit) + " of memory (at `" + name + "`)");
      }
      entry.begin = end;
      end += *bytes;
      entry.end = end;
    }
  }
  return end;
}

}  // namespace retouchd::inference
