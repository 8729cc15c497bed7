#pragma once

#include <cstddef>
#include <cstdint>

// What the module libretouchd_kernels.so offers: the kernels behind functions of plain C++, without LibTorch or CUDA's headers.
// Maps are [pictures][height][width][channels], contiguous, of 16-bit numbers, 16-byte aligned; all pointers are to the device's
// memory. Every call is asynchronous on its stream and allocates nothing, so that it can be captured into a CUDA graph.
namespace retouchd::kernels {

enum class Number { kHalf, kBfloat16 };

/// Of each pixel over its channels, eps 1e-5 within the root; weight and bias are folded into the convolution behind it.
enum class Norm {
  kNone,
  kCentred,    ///< (x - mean) * rstd
  kUncentred,  ///< x * rstd, the variance being about the mean nevertheless
};

enum class Gate {
  kGelu,     ///< gelu(first half of the channels) * second half
  kProduct,  ///< first half * second half
};

struct Map {
  int pictures = 1;
  int height = 0;
  int width = 0;
};

/// out = gate(depthwise 3x3 of in, zeros around it).
struct DepthwiseGateCall {
  Number number = Number::kHalf;
  Map map;
  int hidden = 0;  ///< channels of `out`, a multiple of 8; `in` has twice as many
  Gate gate = Gate::kGelu;
  const void* in = nullptr;
  const void* weight = nullptr;  ///< [9][2 * hidden], taps row by row
  const float* bias = nullptr;   ///< [2 * hidden], or none
  void* out = nullptr;
};

/// out = weight norm(in) + bias + residual, for each pixel.
struct PointwiseCall {
  Number number = Number::kHalf;
  Map map;
  int in_channels = 0;   ///< a multiple of 16; up to 1536, with a norm up to 384
  int out_channels = 0;  ///< a multiple of 8
  Norm norm = Norm::kNone;
  const void* in = nullptr;
  const void* weight = nullptr;  ///< [out][in], or one such for each picture
  bool weight_per_picture = false;
  const float* bias = nullptr;     ///< [out], or none
  const void* residual = nullptr;  ///< as `out`, or none; may be `out` itself
  void* out = nullptr;
};

/// What channel attention needs of q and k: sums over pixels in fp32, in parts that Mixing adds up in a fixed order.
struct GramSums {
  int slots = 0;             ///< parts a picture
  float* gram = nullptr;     ///< [pictures][slots][heads][c][c], c = channels / heads: of q_i k_j
  float* squares = nullptr;  ///< [pictures][slots][2 * channels]: of q_i^2, of k_j^2
};

/// q, k, v = thirds of the depthwise 3x3 of qkv; v is kept, of q and k the sums.
struct DepthwiseGramCall {
  Number number = Number::kHalf;
  Map map;
  int channels = 0;              ///< 48, 96, 192 or 384
  int heads = 1;                 ///< of 48 channels, or one of 96
  const void* qkv = nullptr;     ///< 3 * channels
  const void* weight = nullptr;  ///< [9][3 * channels]
  void* v = nullptr;             ///< channels
  GramSums sums;
};

/// The same from the block's input on: qkv = weight norm(in) + bias, never stored.
struct QkvGramCall {
  Number number = Number::kHalf;
  Map map;
  int channels = 0;  ///< 48, 96 or 192
  int heads = 1;     ///< of 48 channels, or one of 96
  Norm norm = Norm::kCentred;
  const void* in = nullptr;
  const void* weight = nullptr;     ///< [3 * channels][channels]
  const float* bias = nullptr;      ///< [3 * channels], or none
  const void* depthwise = nullptr;  ///< [9][3 * channels]
  void* v = nullptr;                ///< channels
  GramSums sums;
};

/// mixing = project * blockdiag over heads of softmax_j(temperature * gram_ij / (|q_i| |k_j|)), lengths at least 1e-12.
struct MixingCall {
  Number number = Number::kHalf;
  int pictures = 1;
  int channels = 0;
  int heads = 1;
  GramSums sums;                       ///< used up: `gram` is overwritten
  const float* temperature = nullptr;  ///< [heads]
  const float* project = nullptr;      ///< [channels (out)][channels (in)]
  void* mixing = nullptr;              ///< [pictures][channels (out)][channels (in)]
};

/// out = in + contract gate(depthwise(expand norm(in) + bias)); nothing but `in` and `out` is in the device's memory.
struct FeedForwardCall {
  Number number = Number::kHalf;
  Map map;
  int channels = 0;  ///< 48, 96 or 192
  int hidden = 0;    ///< of one half of the gate, a multiple of 32
  Norm norm = Norm::kCentred;
  const void* in = nullptr;
  const void* expand = nullptr;  ///< [2 * hidden][channels]; signed bytes: [2 * hidden][channels rounded up to 32, zeros behind]
  const float* expand_scale = nullptr;  ///< [2 * hidden], what one of a byte's units is; none: `expand` is 16-bit. With bf16 only
  const float* bias = nullptr;          ///< [2 * hidden], or none
  const void* depthwise = nullptr;      ///< [9][2 * hidden]
  const void* contract = nullptr;       ///< [channels][hidden]
  void* out = nullptr;                  ///< not `in`: neighbours still read that
};

/// out = weight norm(in) + bias in products of bytes: each pixel's normalised values are rounded to whole multiples of its
/// largest magnitude / 127.
struct PointwiseBytesCall {
  Number number = Number::kHalf;
  Map map;
  int in_channels = 0;   ///< a multiple of 16, up to 384
  int out_channels = 0;  ///< a multiple of 8
  Norm norm = Norm::kNone;
  const void* in = nullptr;
  const std::int8_t* weight = nullptr;  ///< [out][in], to be multiplied with the output's `scale`
  const float* scale = nullptr;         ///< [out]
  const float* bias = nullptr;          ///< [out], or none
  void* out = nullptr;
};

/// CUDA's stream (cudaStream_t).
using Stream = void*;

/// nullptr when the call was queued; else what was wrong with it, static text.
using Outcome = const char*;

/// The kernels that keep a whole step on chip. They need more shared memory than small devices have.
enum class OnChip { kQkvGram, kFeedForward };

/// The functions of one set of kernels: those on a GPU, or the same on a CPU for tests. Threads: any, one stream each.
struct KernelSet {
  /// The calling thread's device for what follows, counted as CUDA does.
  Outcome (*use_device)(int index) = nullptr;
  int (*multiprocessors)() = nullptr;                   ///< of the device in use
  bool (*fits)(OnChip kernel, int channels) = nullptr;  ///< whether that kernel exists for so many channels and fits the device

  Outcome (*depthwise_gate)(const DepthwiseGateCall&, Stream) = nullptr;
  Outcome (*pointwise)(const PointwiseCall&, Stream) = nullptr;
  Outcome (*depthwise_gram)(const DepthwiseGramCall&, Stream) = nullptr;
  Outcome (*qkv_gram)(const QkvGramCall&, Stream) = nullptr;
  Outcome (*mixing)(const MixingCall&, Stream) = nullptr;
  Outcome (*feed_forward)(const FeedForwardCall&, Stream) = nullptr;
  Outcome (*pointwise_bytes)(const PointwiseBytesCall&, Stream) = nullptr;
};

/// Changes with everything above.
inline constexpr int kKernelVersion = 1;

/// Parts a picture for GramSums: enough blocks to fill a device of `multiprocessors`, no more than there are tiles.
[[nodiscard]] inline int slots_for(const Map& map, int multiprocessors, int tile_pixels) {
  const std::int64_t tiles = (static_cast<std::int64_t>(map.height) * map.width + tile_pixels - 1) / tile_pixels;
  const std::int64_t wanted = (2 * multiprocessors + map.pictures - 1) / map.pictures;
  return static_cast<int>(tiles < wanted ? tiles : wanted < 1 ? 1 : wanted);
}

}  // namespace retouchd::kernels

/// The module's one symbol; nullptr when `version` is not its kKernelVersion.
extern "C" const retouchd::kernels::KernelSet* retouchd_kernels(int version);
