#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "inference/weights/weight_file.h"

namespace retouchd::inference {

/// Bytes of one number of that type ("F32", ...); nullopt for types that we do not read.
[[nodiscard]] std::optional<std::uint64_t> item_size(std::string_view dtype) noexcept;

/// True for F64, F32, F16 and BF16.
[[nodiscard]] bool is_floating(std::string_view dtype) noexcept;

/// Bytes of a tensor of that shape; nullopt for negative sides, overflow, or an unknown type.
[[nodiscard]] std::optional<std::uint64_t> tensor_bytes(std::string_view dtype, const std::vector<std::int64_t>& shape) noexcept;

/// Gives every tensor its byte range, without gaps: larger number types first, so that each number lies at a multiple of its
/// size, then by name. Returns the bytes of all. Throws MalformedWeights naming a tensor whose size is impossible, or when the
/// sum exceeds `limit`.
std::uint64_t lay_out(WeightHeader& header, Bytes limit);

}  // namespace retouchd::inference
