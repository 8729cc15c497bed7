#include "inference/restormer/vector_kernels.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <vector>

// Vectors are GCC's own type: 64 bytes become one AVX-512 register, two of AVX2, four of SSE2. Every kernel is a struct with an
// inlined run(), which is instantiated once for each instruction set.

#define RETOUCHD_INLINE [[gnu::always_inline]] static inline

namespace retouchd::inference::vector_kernels {
namespace {

using Floats [[gnu::vector_size(64)]] = float;
using Ints [[gnu::vector_size(64)]] = std::int32_t;
using Words [[gnu::vector_size(64)]] = std::uint32_t;
using Halves [[gnu::vector_size(32)]] = std::uint16_t;
using Bytes16 [[gnu::vector_size(16)]] = std::int8_t;

constexpr float kNormEpsilon = 1e-5F;

RETOUCHD_INLINE Floats load(const float* from) {
  Floats values;
  std::memcpy(&values, from, sizeof values);
  return values;
}

RETOUCHD_INLINE Floats load(const Bfloat16* from) {
  Halves halves;
  std::memcpy(&halves, from, sizeof halves);
  return reinterpret_cast<Floats>(__builtin_convertvector(halves, Words) << 16);
}

RETOUCHD_INLINE void store(float* to, Floats values) { std::memcpy(to, &values, sizeof values); }

/// Rounds to the nearest, ties to even.
RETOUCHD_INLINE void store(Bfloat16* to, Floats values) {
  const Words bits = reinterpret_cast<Words>(values);
  const Halves halves = __builtin_convertvector((bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16, Halves);
  std::memcpy(to, &halves, sizeof halves);
}

RETOUCHD_INLINE float load_one(const float* from) { return *from; }

RETOUCHD_INLINE float load_one(const Bfloat16* from) {
  const std::uint32_t bits = static_cast<std::uint32_t>(from->bits) << 16;
  float value = 0;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

RETOUCHD_INLINE void store_one(float* to, float value) { *to = value; }

RETOUCHD_INLINE void store_one(Bfloat16* to, float value) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  to->bits = static_cast<std::uint16_t>((bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16);
}

RETOUCHD_INLINE Floats all(float value) { return Floats{} + value; }

RETOUCHD_INLINE float sum_of(Floats values) {
  float sum = 0;
  for (int i = 0; i < kLanes; ++i) sum += values[i];
  return sum;
}

/// x * Phi(x). Phi(x) - 1/2 is x times a rational function of x^2, fitted on [-5.6, 5.6] to a relative error of 2e-8; beyond
/// 5.5 Phi is 0 or 1 in fp32.
RETOUCHD_INLINE Floats gelu(Floats x) {
  const Floats square = x * x;
  Floats above = square * 2.22970994e-08F + 6.28980314e-06F;
  above = above * square + 0.000168933401F;
  above = above * square + 0.00467737645F;
  above = above * square + 0.0339294392F;
  above = above * square + 0.398942272F;
  Floats below = square * 1.17964955e-06F + 7.33454955e-05F;
  below = below * square + 0.00188551591F;
  below = below * square + 0.0286777933F;
  below = below * square + 0.251714818F;
  below = below * square + 1.0F;
  const Floats phi = x * above / below + 0.5F;
  return x > 5.5F ? x : (x < -5.5F ? Floats{} : x * phi);
}

struct Normalize {
  template <class T>
  RETOUCHD_INLINE void run(const float* x, T* out, std::int64_t pixels, std::int64_t channels, bool centred) {
    const std::int64_t whole = channels / kLanes * kLanes;
    const float share = 1.0F / static_cast<float>(channels);
    for (std::int64_t p = 0; p < pixels; ++p, x += channels, out += channels) {
      Floats sums{};
      for (std::int64_t c = 0; c < whole; c += kLanes) sums += load(x + c);
      float sum = sum_of(sums);
      for (std::int64_t c = whole; c < channels; ++c) sum += x[c];
      const float mean = sum * share;
      Floats squares{};
      for (std::int64_t c = 0; c < whole; c += kLanes) {
        const Floats distance = load(x + c) - mean;
        squares += distance * distance;
      }
      float square = sum_of(squares);
      for (std::int64_t c = whole; c < channels; ++c) square += (x[c] - mean) * (x[c] - mean);
      const float scale = 1.0F / std::sqrt(square * share + kNormEpsilon);
      const float zero = centred ? mean : 0.0F;
      for (std::int64_t c = 0; c < whole; c += kLanes) store(out + c, (load(x + c) - zero) * scale);
      for (std::int64_t c = whole; c < channels; ++c) store_one(out + c, (x[c] - zero) * scale);
    }
  }
};

/// The pixels that `kPixels` neighbouring results depend on: three rows of kPixels + 2.
template <class T, int kPixels>
struct Neighbourhood {
  std::array<std::array<const T*, kPixels + 2>, 3> pixels;

  RETOUCHD_INLINE Neighbourhood around(const DepthwiseInput<T>& input, std::int64_t row, std::int64_t column, const T* zeros) {
    Neighbourhood result;
    for (std::int64_t y = 0; y < 3; ++y) {
      const T* line = input.strip + (row + y) * input.width * input.stride;
      for (std::int64_t i = 0; i < kPixels + 2; ++i) {
        const std::int64_t at = column + i - 1;
        result.pixels[y][i] = at >= 0 && at < input.width ? line + at * input.stride : zeros;
      }
    }
    return result;
  }

  /// Convolves 16 channels from `c` on.
  [[gnu::always_inline]] inline void convolve(const DepthwiseInput<T>& input, std::int64_t c, Floats (&sums)[kPixels]) const {
    const Floats bias = input.bias != nullptr ? load(input.bias + c) : Floats{};
    for (int i = 0; i < kPixels; ++i) sums[i] = bias;
#pragma GCC unroll 3
    for (int y = 0; y < 3; ++y) {
      const float* weights = input.weights + 3 * y * input.stride + c;
      const Floats left = load(weights);
      const Floats middle = load(weights + input.stride);
      const Floats right = load(weights + 2 * input.stride);
      Floats before = load(pixels[y][0] + c);
      Floats here = load(pixels[y][1] + c);
#pragma GCC unroll 4
      for (int i = 0; i < kPixels; ++i) {
        const Floats after = load(pixels[y][i + 2] + c);
        sums[i] += left * before;
        sums[i] += middle * here;
        sums[i] += right * after;
        before = here;
        here = after;
      }
    }
  }
};

struct Depthwise {
  template <int kPixels, class In, class Out>
  RETOUCHD_INLINE void block(const DepthwiseInput<In>& input, std::int64_t row, std::int64_t column, const In* zeros,
                             std::int64_t from, std::int64_t channels, Out* out) {
    const auto around = Neighbourhood<In, kPixels>::around(input, row, column, zeros);
    Out* to = out + (row * input.width + column) * channels;
    for (std::int64_t next = 0; next < channels; next += kLanes) {
      const std::int64_t c = std::min(next, channels - kLanes);
      Floats sums[kPixels];
      around.convolve(input, from + c, sums);
      for (int i = 0; i < kPixels; ++i) store(to + i * channels + c, sums[i]);
    }
  }

  template <class In, class Out>
  RETOUCHD_INLINE void run(const DepthwiseInput<In>& input, const In* zeros, std::int64_t from, std::int64_t channels, Out* out) {
    for (std::int64_t row = 0; row < input.rows; ++row) {
      std::int64_t column = 0;
      for (; column + 4 <= input.width; column += 4) block<4>(input, row, column, zeros, from, channels, out);
      for (; column < input.width; ++column) block<1>(input, row, column, zeros, from, channels, out);
    }
  }
};

struct DepthwiseGate {
  template <int kPixels, class T>
  RETOUCHD_INLINE void block(const DepthwiseInput<T>& input, std::int64_t row, std::int64_t column, const T* zeros, T* out) {
    const auto around = Neighbourhood<T, kPixels>::around(input, row, column, zeros);
    const std::int64_t hidden = input.stride / 2;
    T* to = out + (row * input.width + column) * hidden;
    for (std::int64_t next = 0; next < hidden; next += kLanes) {
      const std::int64_t c = std::min(next, hidden - kLanes);
      Floats gates[kPixels];
      around.convolve(input, c, gates);
      for (int i = 0; i < kPixels; ++i) gates[i] = gelu(gates[i]);
      Floats values[kPixels];
      around.convolve(input, hidden + c, values);
      for (int i = 0; i < kPixels; ++i) store(to + i * hidden + c, gates[i] * values[i]);
    }
  }

  template <class T>
  RETOUCHD_INLINE void run(const DepthwiseInput<T>& input, const T* zeros, T* out) {
    for (std::int64_t row = 0; row < input.rows; ++row) {
      std::int64_t column = 0;
      for (; column + 4 <= input.width; column += 4) block<4>(input, row, column, zeros, out);
      for (; column < input.width; ++column) block<1>(input, row, column, zeros, out);
    }
  }
};

struct AddSquares {
  /// Long sums lose digits; sums of sums do not.
  static constexpr std::int64_t kPixels = 64;

  RETOUCHD_INLINE void run(const float* x, std::int64_t pixels, std::int64_t channels, float* sums) {
    const std::int64_t whole = channels / kLanes * kLanes;
    for (; pixels > 0; pixels -= kPixels, x += kPixels * channels) {
      const std::int64_t count = std::min(pixels, kPixels);
      for (std::int64_t c = 0; c < whole; c += kLanes) {
        Floats sum{};
        for (std::int64_t p = 0; p < count; ++p) sum += load(x + p * channels + c) * load(x + p * channels + c);
        store(sums + c, load(sums + c) + sum);
      }
      for (std::int64_t c = whole; c < channels; ++c) {
        float sum = 0;
        for (std::int64_t p = 0; p < count; ++p) sum += x[p * channels + c] * x[p * channels + c];
        sums[c] += sum;
      }
    }
  }
};

struct Add {
  RETOUCHD_INLINE void run(float* x, const Bfloat16* y, std::int64_t count) {
    const std::int64_t whole = count / kLanes * kLanes;
    for (std::int64_t i = 0; i < whole; i += kLanes) store(x + i, load(x + i) + load(y + i));
    for (std::int64_t i = whole; i < count; ++i) x[i] += load_one(y + i);
  }
};

struct Quantize {
  RETOUCHD_INLINE void run(const Bfloat16* x, std::int8_t* out, float* scales, std::int64_t pixels, std::int64_t channels) {
    const std::int64_t whole = channels / kLanes * kLanes;
    for (std::int64_t p = 0; p < pixels; ++p, x += channels, out += channels) {
      Floats highest{};
      for (std::int64_t c = 0; c < whole; c += kLanes) {
        const Floats values = load(x + c);
        const Floats magnitude = values < 0.0F ? -values : values;
        highest = magnitude > highest ? magnitude : highest;
      }
      float peak = 1e-30F;
      for (int i = 0; i < kLanes; ++i) peak = std::max(peak, highest[i]);
      for (std::int64_t c = whole; c < channels; ++c) peak = std::max(peak, std::abs(load_one(x + c)));
      scales[p] = peak / 127.0F;
      const float factor = 127.0F / peak;
      // Adding 1.5 * 2^23 rounds to the nearest integer, which then stands in the lowest bits.
      constexpr float kRound = 12582912.0F;
      for (std::int64_t c = 0; c < whole; c += kLanes) {
        const Ints rounded = reinterpret_cast<Ints>(load(x + c) * factor + kRound) - 0x4B400000;
        const Bytes16 bytes = __builtin_convertvector(rounded, Bytes16);
        std::memcpy(out + c, &bytes, sizeof bytes);
      }
      for (std::int64_t c = whole; c < channels; ++c) out[c] = static_cast<std::int8_t>(std::lrintf(load_one(x + c) * factor));
    }
  }
};

struct Dequantize {
  template <class T>
  RETOUCHD_INLINE void run(const std::int32_t* sums, const float* pixel_scales, const float* channel_scales, const float* bias,
                           T* out, std::int64_t pixels, std::int64_t channels, bool accumulate) {
    const std::int64_t whole = channels / kLanes * kLanes;
    for (std::int64_t p = 0; p < pixels; ++p, sums += channels, out += channels) {
      const float scale = pixel_scales[p];
      for (std::int64_t c = 0; c < whole; c += kLanes) {
        Ints integers;
        std::memcpy(&integers, sums + c, sizeof integers);
        Floats values = __builtin_convertvector(integers, Floats) * (load(channel_scales + c) * scale);
        if (bias != nullptr) values += load(bias + c);
        if (accumulate) values += load(out + c);
        store(out + c, values);
      }
      for (std::int64_t c = whole; c < channels; ++c) {
        float value = static_cast<float>(sums[c]) * (channel_scales[c] * scale);
        if (bias != nullptr) value += bias[c];
        if (accumulate) value += load_one(out + c);
        store_one(out + c, value);
      }
    }
  }
};

template <class Kernel, class... Arguments>
void run_baseline(Arguments... arguments) {
  Kernel::run(arguments...);
}

#ifdef __x86_64__
template <class Kernel, class... Arguments>
[[gnu::target("avx2,fma,bmi,bmi2")]] void run_avx2(Arguments... arguments) {
  Kernel::run(arguments...);
}

template <class Kernel, class... Arguments>
[[gnu::target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,bmi,bmi2,prefer-vector-width=512")]] void run_avx512(
    Arguments... arguments) {
  Kernel::run(arguments...);
}

enum class InstructionSet { kBaseline, kAvx2, kAvx512 };

InstructionSet detect() {
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return InstructionSet::kBaseline;
  const bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  return wide ? InstructionSet::kAvx512 : InstructionSet::kAvx2;
}

template <class Kernel, class... Arguments>
void run(Arguments... arguments) {
  static const InstructionSet best = detect();
  if (best == InstructionSet::kAvx512) return run_avx512<Kernel>(arguments...);
  if (best == InstructionSet::kAvx2) return run_avx2<Kernel>(arguments...);
  run_baseline<Kernel>(arguments...);
}
#else
template <class Kernel, class... Arguments>
void run(Arguments... arguments) {
  run_baseline<Kernel>(arguments...);
}
#endif

}  // namespace

template <class T>
void normalize(const float* x, T* out, std::int64_t pixels, std::int64_t channels, bool centred) {
  run<Normalize>(x, out, pixels, channels, centred);
}

template <class In, class Out>
void depthwise(const DepthwiseInput<In>& input, std::int64_t from, std::int64_t channels, Out* out) {
  const std::vector<In> zeros(static_cast<std::size_t>(input.stride));
  run<Depthwise>(input, zeros.data(), from, channels, out);
}

template <class T>
void depthwise_gate(const DepthwiseInput<T>& input, T* out) {
  const std::vector<T> zeros(static_cast<std::size_t>(input.stride));
  run<DepthwiseGate>(input, zeros.data(), out);
}

void add_squares(const float* x, std::int64_t pixels, std::int64_t channels, float* sums) {
  run<AddSquares>(x, pixels, channels, sums);
}

void add(float* x, const Bfloat16* y, std::int64_t count) { run<Add>(x, y, count); }

void quantize(const Bfloat16* x, std::int8_t* out, float* scales, std::int64_t pixels, std::int64_t channels) {
  run<Quantize>(x, out, scales, pixels, channels);
}

template <class T>
void dequantize(const std::int32_t* sums, const float* pixel_scales, const float* channel_scales, const float* bias, T* out,
                std::int64_t pixels, std::int64_t channels, bool accumulate) {
  run<Dequantize>(sums, pixel_scales, channel_scales, bias, out, pixels, channels, accumulate);
}

template void normalize(const float*, float*, std::int64_t, std::int64_t, bool);
template void normalize(const float*, Bfloat16*, std::int64_t, std::int64_t, bool);
template void depthwise(const DepthwiseInput<float>&, std::int64_t, std::int64_t, float*);
template void depthwise(const DepthwiseInput<Bfloat16>&, std::int64_t, std::int64_t, float*);
template void depthwise(const DepthwiseInput<Bfloat16>&, std::int64_t, std::int64_t, Bfloat16*);
template void depthwise_gate(const DepthwiseInput<float>&, float*);
template void depthwise_gate(const DepthwiseInput<Bfloat16>&, Bfloat16*);
template void dequantize(const std::int32_t*, const float*, const float*, const float*, float*, std::int64_t, std::int64_t, bool);
template void dequantize(const std::int32_t*, const float*, const float*, const float*, Bfloat16*, std::int64_t, std::int64_t,
                         bool);

}  // namespace retouchd::inference::vector_kernels
