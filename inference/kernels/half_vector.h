#pragma once

#include <cstdint>

#include "inference/kernels/simt.h"

namespace retouchd::kernels {

/// Eight bytes. Moved by one instruction.
struct alignas(8) HalfVector {
  std::uint32_t words[2];
};

RETOUCHD_KERNEL HalfVector load_half_vector(const void* from) {
#if !defined(__CUDACC__)
  check_alignment(from, alignof(HalfVector));
#endif
  return *static_cast<const HalfVector*>(from);
}

RETOUCHD_KERNEL void store_half_vector(void* to, const HalfVector& vector) {
#if !defined(__CUDACC__)
  check_alignment(to, alignof(HalfVector));
#endif
  *static_cast<HalfVector*>(to) = vector;
}

/// Four 16-bit numbers.
template <typename T>
RETOUCHD_KERNEL void load_four(float (&to)[4], const void* from) {
  const HalfVector four = load_half_vector(from);
  RETOUCHD_UNROLL
  for (int word = 0; word < 2; ++word) {
    const Pair pair = unpack<T>(four.words[word]);
    to[2 * word] = pair.first;
    to[2 * word + 1] = pair.second;
  }
}

template <typename T>
RETOUCHD_KERNEL void store_four(T* to, const float (&from)[4]) {
  store_half_vector(to, {{pack<T>(from[0], from[1]), pack<T>(from[2], from[3])}});
}

}  // namespace retouchd::kernels
