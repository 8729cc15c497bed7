#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#if defined(__CUDACC__)
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#define RETOUCHD_ANYWHERE __host__ __device__ __forceinline__
#else
#define RETOUCHD_ANYWHERE inline
#endif

namespace retouchd::kernels {

// The two 16-bit number types of activations and weights, as bits, so that the same code runs on a GPU and on a CPU without
// either's types. On a GPU the conversions are single instructions; all round to nearest even.

struct Half {  ///< IEEE binary16: 11 significant bits, up to 65504
  std::uint16_t bits;
};
struct Bfloat16 {  ///< 8 significant bits, range of fp32
  std::uint16_t bits;
};

namespace host {

inline float widen(Half x) {
  const std::uint32_t sign = static_cast<std::uint32_t>(x.bits & 0x8000U) << 16U;
  const std::uint32_t exponent = (x.bits >> 10U) & 31U;
  const std::uint32_t fraction = x.bits & 0x3ffU;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000U | fraction << 13U);
  if (exponent != 0) return std::bit_cast<float>(sign | (exponent + 112U) << 23U | fraction << 13U);
  const float small = std::ldexp(static_cast<float>(fraction), -24);
  return sign == 0 ? small : -small;
}

inline Half to_half(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t sign = (bits >> 16U) & 0x8000U;
  const std::uint32_t magnitude = bits & 0x7fffffffU;
  const auto half = [sign](std::uint32_t value) { return Half{static_cast<std::uint16_t>(sign | value)}; };
  if (magnitude > 0x7f800000U) return half(0x7e00U);
  if (magnitude >= 0x477ff000U) return half(0x7c00U);  // 65520 and more
  if (magnitude < 0x38800000U)                         // below 2^-14: whole multiples of 2^-24
    return half(static_cast<std::uint32_t>(std::nearbyint(std::ldexp(std::bit_cast<float>(magnitude), 24))));
  const std::uint32_t rounded = magnitude + 0xfffU + ((magnitude >> 13U) & 1U);
  return half((rounded >> 13U) - (112U << 10U));
}

inline float widen(Bfloat16 x) { return std::bit_cast<float>(static_cast<std::uint32_t>(x.bits) << 16U); }

inline Bfloat16 to_bfloat16(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  if ((bits & 0x7fffffffU) > 0x7f800000U) return {0x7fffU};
  return {static_cast<std::uint16_t>((bits + 0x7fffU + ((bits >> 16U) & 1U)) >> 16U)};
}

}  // namespace host

RETOUCHD_ANYWHERE float to_float(Half x) {
#if defined(__CUDA_ARCH__)
  return __half2float(__ushort_as_half(x.bits));
#else
  return host::widen(x);
#endif
}

RETOUCHD_ANYWHERE float to_float(Bfloat16 x) {
#if defined(__CUDA_ARCH__)
  return __bfloat162float(__ushort_as_bfloat16(x.bits));
#else
  return host::widen(x);
#endif
}

template <typename T>
RETOUCHD_ANYWHERE T from_float(float x);

template <>
RETOUCHD_ANYWHERE Half from_float<Half>(float x) {
#if defined(__CUDA_ARCH__)
  return {__half_as_ushort(__float2half_rn(x))};
#else
  return host::to_half(x);
#endif
}

template <>
RETOUCHD_ANYWHERE Bfloat16 from_float<Bfloat16>(float x) {
#if defined(__CUDA_ARCH__)
  return {__bfloat16_as_ushort(__float2bfloat16_rn(x))};
#else
  return host::to_bfloat16(x);
#endif
}

/// Two numbers in one register, the first one in the lower half, as they lie in memory.
template <typename T>
RETOUCHD_ANYWHERE std::uint32_t pack(float first, float second) {
  return static_cast<std::uint32_t>(from_float<T>(first).bits) | static_cast<std::uint32_t>(from_float<T>(second).bits) << 16U;
}

struct Pair {
  float first;
  float second;
};

template <typename T>
RETOUCHD_ANYWHERE Pair unpack(std::uint32_t both) {
  return {to_float(T{static_cast<std::uint16_t>(both & 0xffffU)}), to_float(T{static_cast<std::uint16_t>(both >> 16U)})};
}

}  // namespace retouchd::kernels
