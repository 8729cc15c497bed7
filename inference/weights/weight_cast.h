#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"
#include "inference/weights/weight_file.h"

namespace retouchd::inference {

// IEEE 754-2008 binary16 and bfloat16 (the upper half of binary32), rounded to nearest, ties to even; NaN stays NaN.

[[nodiscard]] std::uint16_t half_from_float(float value) noexcept;  ///< too large: infinity
[[nodiscard]] float float_from_half(std::uint16_t bits) noexcept;
[[nodiscard]] std::uint16_t bfloat16_from_float(float value) noexcept;
[[nodiscard]] float float_from_bfloat16(std::uint16_t bits) noexcept;

/// The same tensors with all floating-point numbers (F64, F32, F16, BF16) as `dtype` ("F32", "F16" or "BF16"); others as they
/// are. kBadWeights names a tensor with a finite number that is too large for it.
[[nodiscard]] Result<WeightFile> cast_weights(const WeightFile& weights, std::string_view dtype);

}  // namespace retouchd::inference
