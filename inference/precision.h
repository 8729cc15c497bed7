#pragma once

#include <optional>
#include <string_view>

namespace retouchd::inference {

/// How numbers are kept and multiplied on the way through a network. Whatever it is, inputs and results are fp32.
enum class Precision {
  kFp32,
  kTf32,  ///< fp32, multiplied with 10-bit mantissas (CUDA from Ampere on)
  kFp16,
  kBf16,
  kMixed,  ///< bf16, but the first and the last convolution and the attention's statistics in fp32
  kInt8,   ///< 1x1 convolutions in int8, everything else as in kMixed
};

/// "fp32", "tf32", "fp16", "bf16", "mixed", "int8"
[[nodiscard]] std::string_view name_of(Precision precision) noexcept;
[[nodiscard]] std::optional<Precision> precision_named(std::string_view name) noexcept;

/// Mean absolute difference from plain fp32, on pictures in [0, 1], up to which a precision counts as valid.
[[nodiscard]] double tolerance_of(Precision precision) noexcept;

}  // namespace retouchd::inference
