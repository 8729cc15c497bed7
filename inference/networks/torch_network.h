#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "base/result.h"
#include "inference/kernels/launch.h"
#include "inference/network_info.h"
#include "inference/precision.h"
#include "inference/weights/weight_file.h"

namespace retouchd::inference {

/// Where and how a network computes.
struct ForwardOptions {
  at::Device device = at::kCPU;
  Precision precision = Precision::kFp32;
  /// False: the plain path, operation by operation as published, in fp32; what the optimised one is validated against.
  bool optimize = true;
  /// The optimised path works on strips of about this many pixels where it can, so that wide activations never exist whole.
  /// On a CPU a strip should stay in the caches; on a GPU it should keep the device busy.
  std::int64_t strip_pixels = 16384;
  /// Kernels of our own instead of LibTorch's operations, for networks that have some (fused_obstacle()).
  const kernels::KernelSet* kernels = nullptr;
  /// Packages: calls of forward() that compute at the same time.
  int calls = 1;

  /// The type of weights and activations between the first and the last convolution.
  [[nodiscard]] at::ScalarType body() const noexcept {
    if (precision == Precision::kFp16) return at::kHalf;
    return precision == Precision::kFp32 || precision == Precision::kTf32 ? at::kFloat : at::kBFloat16;
  }
  /// The type of the first and the last convolution. What the last one gives is added to the picture in fp32: however coarse the
  /// numbers between are, the picture keeps its own.
  [[nodiscard]] at::ScalarType edges() const noexcept {
    return precision == Precision::kFp16 || precision == Precision::kBf16 ? body() : at::kFloat;
  }
};

/// A network with its weights on one device. Inside inference/ only: everything else sees Device.
/// Threads: forward() from several at once (the weights do not change).
class TorchNetwork {
 public:
  virtual ~TorchNetwork() = default;

  /// [N, H, W, NetworkInfo::input_channels()] fp32, H and W multiples of the network's multiple ->
  /// [N, H*scale, W*scale, NetworkInfo::output_channels()] fp32, not clamped. Colours are in [0, NetworkInfo::range], depth is in
  /// metres (0: unknown). Contiguous in and out: channels lie innermost, as in pictures. Called under InferenceMode.
  [[nodiscard]] virtual at::Tensor forward(const at::Tensor& input) const = 0;

  /// The part that computes tiles of any shape alike: what measurements of a few shapes tell something about.
  [[nodiscard]] virtual const TorchNetwork& for_any_shape() const { return *this; }

  /// Whether forward() can become part of a CUDA graph. Code of others may wait for events, which no recording allows.
  [[nodiscard]] virtual bool may_be_recorded() const { return true; }
};

/// Reads the network's file and builds it. kBadWeights.
[[nodiscard]] Result<std::unique_ptr<TorchNetwork>> load_torch_network(const NetworkInfo& info, const ForwardOptions& options);

/// Builds the network that `info` describes from its weights. kBadWeights names the tensor that is missing or has another shape.
[[nodiscard]] Result<std::unique_ptr<TorchNetwork>> make_torch_network(const NetworkInfo& info, const WeightFile& weights,
                                                                       const ForwardOptions& options);

}  // namespace retouchd::inference
