#pragma once

#include <cstdint>

#include "inference/kernels/simt.h"

namespace retouchd::kernels {

/// Eight bytes: four 16-bit numbers. Moved by one instruction.
struct alignas(8) FourNumbers {
  std::uint32_t words[2];
};

template <typename T>
RETOUCHD_KERNEL void load_four(float (&to)[4], const void* from) {
#if !defined(__CUDACC__)
  check_alignment(from, alignof(FourNumbers));
#endif
  const FourNumbers four = *static_cast<const FourNumbers*>(from);
  RETOUCHD_UNROLL
  for (int word = 0; word < 2; ++word) {
    const Pair pair = unpack<T>(four.words[word]);
    to[2 * word] = pair.first;
    to[2 * word + 1] = pair.second;
  }
}

template <typename T>
RETOUCHD_KERNEL void store_four(T* to, const float (&from)[4]) {
#if !defined(__CUDACC__)
  check_alignment(to, alignof(FourNumbers));
#endif
  *reinterpret_cast<FourNumbers*>(to) = {{pack<T>(from[0], from[1]), pack<T>(from[2], from[3])}};
}

}  // namespace retouchd::kernels
