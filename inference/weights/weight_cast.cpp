#include "inference/weights/weight_cast.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <string>
#include <utility>

#include "inference/weights/malformed_weights.h"
#include "inference/weights/tensor_layout.h"

namespace retouchd::inference {
namespace {

template <class T>
T load(const std::uint8_t* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}

float load_float(std::string_view dtype, const std::uint8_t* from) {
  if (dtype == "F64") return static_cast<float>(load<double>(from));
  if (dtype == "F16") return float_from_half(load<std::uint16_t>(from));
  if (dtype == "BF16") return float_from_bfloat16(load<std::uint16_t>(from));
  return load<float>(from);
}

template <class T>
void store(T value, std::uint8_t* to) {
  std::memcpy(to, &value, sizeof(T));
}

/// Returns false when a finite number becomes infinite.
bool cast(std::string_view from_type, const std::uint8_t* from, std::string_view to_type, std::uint8_t* to, std::uint64_t count) {
  const std::uint64_t from_size = *item_size(from_type);
  const std::uint64_t to_size = *item_size(to_type);
  for (std::uint64_t i = 0; i < count; ++i, from += from_size, to += to_size) {
    const float value = load_float(from_type, from);
    float kept = value;
    if (to_type == "F16") {
      const std::uint16_t bits = half_from_float(value);
      kept = float_from_half(bits);
      store(bits, to);
    } else if (to_type == "BF16") {
      const std::uint16_t bits = bfloat16_from_float(value);
      kept = float_from_bfloat16(bits);
      store(bits, to);
    } else {
      store(value, to);
    }
    const bool was_finite = from_type == "F64" ? std::isfinite(load<double>(from)) : std::isfinite(value);
    if (was_finite && !std::isfinite(kept)) return false;
  }
  return true;
}

}  // namespace

std::uint16_t half_from_float(float value) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = (bits >> 16U) & 0x8000U;
  const std::uint32_t magnitude = bits & 0x7fffffffU;
  std::uint32_t half = 0;
  if (magnitude > 0x7f800000U) {
    half = 0x7e00U;  // NaN
  } else if (magnitude >= 0x477ff000U) {
    half = 0x7c00U;  // 65520 and more round to infinity
  } else if (magnitude >= 0x38800000U) {
    // Normal: the exponent's bias goes from 127 to 15, 13 bits of the fraction go; a carry out of it raises the exponent, as it
    // should.
    const std::uint32_t rebased = magnitude - (112U << 23U);
    half = (rebased + 0x0fffU + ((rebased >> 13U) & 1U)) >> 13U;
  } else {
    // Subnormal: adding 0.5 lets the FPU round to multiples of 2^-24, the last bit of 0.5.
    half = std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) + 0.5F) - std::bit_cast<std::uint32_t>(0.5F);
  }
  return static_cast<std::uint16_t>(sign | half);
}

float float_from_half(std::uint16_t bits) noexcept {
  const std::uint32_t sign = (bits & 0x8000U) << 16U;
  const std::uint32_t magnitude = bits & 0x7fffU;
  if (magnitude >= 0x7c00U) return std::bit_cast<float>(sign | 0x7f800000U | ((magnitude & 0x3ffU) << 13U));
  if (magnitude >= 0x0400U) return std::bit_cast<float>(sign | ((magnitude << 13U) + (112U << 23U)));
  const float subnormal = static_cast<float>(magnitude) * 0x1p-24F;
  return sign != 0 ? -subnormal : subnormal;
}

std::uint16_t bfloat16_from_float(float value) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7fffffffU) > 0x7f800000U) return static_cast<std::uint16_t>((bits >> 16U) | 0x40U);
  return static_cast<std::uint16_t>((bits + 0x7fffU + ((bits >> 16U) & 1U)) >> 16U);
}

float float_from_bfloat16(std::uint16_t bits) noexcept { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16U); }

Result<WeightFile> cast_weights(const WeightFile& weights, std::string_view dtype) {
  WeightFile result{weights.header, {}};
  for (auto& [name, entry] : result.header.tensors) {
    if (is_floating(entry.dtype)) entry.dtype = dtype;
  }
  try {
    result.data.resize(lay_out(result.header, kMaxWeightFile));
  } catch (const MalformedWeights& reason) {
    return make_error(ErrorCode::kBadWeights, std::string("the weights cannot be converted: ") + reason.what());
  }
  for (const auto& [name, entry] : result.header.tensors) {
    const auto& old = weights.header.tensors.at(name);
    const std::uint8_t* from = weights.data.data() + old.begin;
    std::uint8_t* to = result.data.data() + entry.begin;
    if (old.dtype == entry.dtype) {
      std::copy(from, from + (old.end - old.begin), to);
    } else if (!cast(old.dtype, from, entry.dtype, to, (entry.end - entry.begin) / *item_size(entry.dtype))) {
      return make_error(ErrorCode::kBadWeights,
                        "tensor `" + name + "` holds a number that is too large for " + std::string(dtype));
    }
  }
  return result;
}

}  // namespace retouchd::inference
