#pragma once

#include <ATen/core/Tensor.h>

#include "inference/kernels/launch.h"
#include "inference/networks/torch_network.h"

namespace retouchd::inference {

/// The kernels on LibTorch's tensors: maps are [N, H, W, C] of a 16-bit type, contiguous, all on one device. Calls are queued on
/// LibTorch's current stream. Throws c10::Error when a kernel refuses. Threads: any.
class FusedOperations {
 public:
  FusedOperations(const kernels::KernelSet& kernels, at::ScalarType body) : kernels_(&kernels), body_(body) {}

  [[nodiscard]] at::ScalarType body() const noexcept { return body_; }
  [[nodiscard]] bool keeps_on_chip(kernels::OnChip kernel, std::int64_t channels) const;

  /// Columns of a feed-forward's expansion in bytes.
  [[nodiscard]] std::int64_t bytes_depth(std::int64_t channels) const;

  /// Makes `device` the calling thread's.
  void use(const at::Device& device) const;

  [[nodiscard]] at::Tensor pointwise(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                                     kernels::Norm norm) const;
  /// sum += weight x; `weight` is [out, in], or [N, out, in] for one a picture.
  void add_pointwise(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& sum) const;
  struct Attention {
    kernels::Norm norm = kernels::Norm::kCentred;
    at::Tensor qkv;          ///< [3C, C], the norm folded in
    at::Tensor bias;         ///< [3C] fp32, or undefined
    at::Tensor depthwise;    ///< [9, 3C]
    at::Tensor temperature;  ///< [heads] fp32
    at::Tensor project;      ///< [C, C] fp32
  };
  /// x += attention(x)
  void attend(const Attention& attention, const at::Tensor& x) const;

  struct FeedForward {
    kernels::Norm norm = kernels::Norm::kCentred;
    at::Tensor expand;  ///< [2h, C], the norm folded in; h a multiple of 32. Or signed bytes, zeros behind C up to bytes_depth()
    at::Tensor scale;   ///< [2h] fp32, what a byte's unit is; undefined: `expand` is of the body's type
    at::Tensor bias;    ///< [2h] fp32, or undefined
    at::Tensor depthwise;  ///< [9, 2h]
    at::Tensor contract;   ///< [C, h]
  };
  /// x + feed_forward(x); x may be overwritten.
  [[nodiscard]] at::Tensor feed_forward(const FeedForward& feed_forward, const at::Tensor& x) const;

 private:
  /// The expansion alone.
  [[nodiscard]] at::Tensor expand(const FeedForward& feed_forward, const at::Tensor& x) const;

  const kernels::KernelSet* kernels_;
  at::ScalarType body_;
};

}  // namespace retouchd::inference
