#pragma once

#include <cstdint>

namespace retouchd::inference::vector_kernels {

// What a CPU does with the rows of a strip between two matrix products, in one pass each and without LibTorch: pictures are
// [rows, width, channels], contiguous, in fp32 or bf16; sums are fp32. Single-threaded. The instruction set (baseline x86-64,
// AVX2, AVX-512) is chosen when the program runs.

struct Bfloat16 {
  std::uint16_t bits;
};

/// Fewer channels than this are refused by depthwise() and depthwise_gate(): the last vector overlaps the one before it.
inline constexpr std::int64_t kLanes = 16;

/// Per pixel: (x - mean) / sqrt(variance + 1e-5), or without the subtraction when not `centred`.
template <class T>
void normalize(const float* x, T* out, std::int64_t pixels, std::int64_t channels, bool centred);

/// A strip with a row of halo above and below it, and what is convolved with it.
template <class T>
struct DepthwiseInput {
  const T* strip = nullptr;        ///< [rows + 2, width, stride]; left and right of it there are zeros
  std::int64_t rows = 0;           ///< of the result
  std::int64_t width = 0;          ///< pixels
  std::int64_t stride = 0;         ///< channels of the strip
  const float* weights = nullptr;  ///< [9, stride]
  const float* bias = nullptr;     ///< [stride]; may be null
};

/// 3x3 convolution of each of the channels [from, from + channels) -> [rows, width, channels].
template <class In, class Out>
void depthwise(const DepthwiseInput<In>& input, std::int64_t from, std::int64_t channels, Out* out);

/// 3x3 convolution of each channel, then gelu(first half of the channels) * second half -> [rows, width, stride / 2].
template <class T>
void depthwise_gate(const DepthwiseInput<T>& input, T* out);

/// sums[c] += x[p][c]^2 over all pixels.
void add_squares(const float* x, std::int64_t pixels, std::int64_t channels, float* sums);

/// x += y
void add(float* x, const Bfloat16* y, std::int64_t count);

/// Per pixel: scale = max |x| / 127, out = round(x / scale).
void quantize(const Bfloat16* x, std::int8_t* out, float* scales, std::int64_t pixels, std::int64_t channels);

/// out = sums[p][c] * pixel_scales[p] * channel_scales[c] + bias[c] (may be null), or out += that.
template <class T>
void dequantize(const std::int32_t* sums, const float* pixel_scales, const float* channel_scales, const float* bias, T* out,
                std::int64_t pixels, std::int64_t channels, bool accumulate);

}  // namespace retouchd::inference::vector_kernels
