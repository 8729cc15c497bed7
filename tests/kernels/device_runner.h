#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "inference/kernels/launch.h"

namespace retouchd::kernels {

/// Host memory on the device for the time of one call: what goes in is copied there, what comes out is copied back by finish().
/// Results start as NaN.
class DeviceCopies {
 public:
  DeviceCopies() = default;
  ~DeviceCopies() {
    for (void* const memory : memory_) (void)cudaFree(memory);
  }
  DeviceCopies(const DeviceCopies&) = delete;
  DeviceCopies& operator=(const DeviceCopies&) = delete;

  template <typename T>
  void in(const T*& pointer, std::size_t bytes) {
    if (pointer == nullptr) return;
    void* const there = allocate(bytes);
    check(cudaMemcpy(there, pointer, bytes, cudaMemcpyHostToDevice));
    pointer = static_cast<const T*>(there);
  }
  template <typename T>
  void out(T*& pointer, std::size_t bytes) {
    void* const there = allocate(bytes);
    check(cudaMemset(there, 0xff, bytes));
    results_.push_back({pointer, there, bytes});
    pointer = static_cast<T*>(there);
  }
  /// The residual may be the result.
  void in_and_out(const void*& in_pointer, void*& out_pointer, std::size_t bytes) {
    const bool same = in_pointer == out_pointer;
    in(in_pointer, bytes);
    if (!same) {
      out(out_pointer, bytes);
      return;
    }
    results_.push_back({out_pointer, const_cast<void*>(in_pointer), bytes});
    out_pointer = const_cast<void*>(in_pointer);
  }

  void finish() {
    check(cudaDeviceSynchronize());
    for (const Result& result : results_) check(cudaMemcpy(result.here, result.there, result.bytes, cudaMemcpyDeviceToHost));
  }

  static void check(cudaError_t error) {
    if (error != cudaSuccess) throw std::runtime_error(std::string("CUDA: ") + cudaGetErrorString(error));
  }

 private:
  struct Result {
    void* here;
    void* there;
    std::size_t bytes;
  };

  void* allocate(std::size_t bytes) {
    void* memory = nullptr;
    check(cudaMalloc(&memory, bytes));
    memory_.push_back(memory);
    return memory;
  }

  std::vector<void*> memory_;
  std::vector<Result> results_;
};

/// Executes calls with host pointers on a device: what the cases of the kernels' tests are given there.
class DeviceRunner {
 public:
  explicit DeviceRunner(const KernelSet& kernels) : kernels_(kernels) {}

  void operator()(DepthwiseGateCall call) const {
    const std::size_t hidden = size(call.hidden);
    run(kernels_.depthwise_gate, call, [&](DeviceCopies& copies) {
      copies.in(call.in, 2 * 2 * pixels(call.map) * hidden);
      copies.in(call.weight, 2 * 9 * 2 * hidden);
      copies.in(call.bias, 4 * 2 * hidden);
      copies.out(call.out, 2 * pixels(call.map) * hidden);
    });
  }
  void operator()(PointwiseCall call) const {
    const std::size_t in = size(call.in_channels);
    const std::size_t out = size(call.out_channels);
    run(kernels_.pointwise, call, [&](DeviceCopies& copies) {
      copies.in(call.in, 2 * pixels(call.map) * in);
      copies.in(call.weight, 2 * in * out * (call.weight_per_picture ? size(call.map.pictures) : 1));
      copies.in(call.bias, 4 * out);
      copies.in_and_out(call.residual, call.out, 2 * pixels(call.map) * out);
    });
  }
  void operator()(PointwiseBytesCall call) const {
    const std::size_t in = size(call.in_channels);
    const std::size_t out = size(call.out_channels);
    run(kernels_.pointwise_bytes, call, [&](DeviceCopies& copies) {
      copies.in(call.in, 2 * pixels(call.map) * in);
      copies.in(call.weight, in * out);
      copies.in(call.scale, 4 * out);
      copies.in(call.bias, 4 * out);
      copies.out(call.out, 2 * pixels(call.map) * out);
    });
  }
  void operator()(DepthwiseGramCall call) const {
    const std::size_t channels = size(call.channels);
    run(kernels_.depthwise_gram, call, [&](DeviceCopies& copies) {
      copies.in(call.qkv, 2 * pixels(call.map) * 3 * channels);
      copies.in(call.weight, 2 * 9 * 3 * channels);
      copies.out(call.v, 2 * pixels(call.map) * channels);
      sums_out(copies, call.sums, call.map.pictures, channels, size(call.heads));
    });
  }
  void operator()(QkvGramCall call) const {
    const std::size_t channels = size(call.channels);
    run(kernels_.qkv_gram, call, [&](DeviceCopies& copies) {
      copies.in(call.in, 2 * pixels(call.map) * channels);
      copies.in(call.weight, 2 * 3 * channels * channels);
      copies.in(call.bias, 4 * 3 * channels);
      copies.in(call.depthwise, 2 * 9 * 3 * channels);
      copies.out(call.v, 2 * pixels(call.map) * channels);
      sums_out(copies, call.sums, call.map.pictures, channels, size(call.heads));
    });
  }
  void operator()(MixingCall call) const {
    const std::size_t channels = size(call.channels);
    const std::size_t heads = size(call.heads);
    const std::size_t parts = size(call.pictures) * size(call.sums.slots);
    run(kernels_.mixing, call, [&](DeviceCopies& copies) {
      const float* gram = call.sums.gram;
      const float* squares = call.sums.squares;
      copies.in(gram, 4 * parts * channels * channels / heads);
      copies.in(squares, 4 * parts * 2 * channels);
      call.sums.gram = const_cast<float*>(gram);
      call.sums.squares = const_cast<float*>(squares);
      copies.in(call.temperature, 4 * heads);
      copies.in(call.project, 4 * channels * channels);
      copies.out(call.mixing, 2 * size(call.pictures) * channels * channels);
    });
  }
  void operator()(FeedForwardCall call) const {
    const std::size_t channels = size(call.channels);
    const std::size_t hidden = size(call.hidden);
    run(kernels_.feed_forward, call, [&](DeviceCopies& copies) {
      copies.in(call.in, 2 * pixels(call.map) * channels);
      copies.in(call.expand, call.expand_scale == nullptr ? 2 * 2 * hidden * channels : 2 * hidden * ((channels + 31) / 32 * 32));
      copies.in(call.expand_scale, 4 * 2 * hidden);
      copies.in(call.bias, 4 * 2 * hidden);
      copies.in(call.depthwise, 2 * 9 * 2 * hidden);
      copies.in(call.contract, 2 * channels * hidden);
      copies.out(call.out, 2 * pixels(call.map) * channels);
    });
  }

 private:
  static std::size_t size(int count) { return static_cast<std::size_t>(count); }
  static std::size_t pixels(const Map& map) { return size(map.pictures) * size(map.height) * size(map.width); }

  static void sums_out(DeviceCopies& copies, GramSums& sums, int pictures, std::size_t channels, std::size_t heads) {
    const std::size_t parts = size(pictures) * size(sums.slots);
    copies.out(sums.gram, 4 * parts * channels * channels / heads);
    copies.out(sums.squares, 4 * parts * 2 * channels);
  }

  template <typename Call, typename Copy>
  static void run(Outcome (*kernel)(const Call&, Stream), const Call& call, const Copy& copy) {
    DeviceCopies copies;
    copy(copies);
    if (const Outcome outcome = kernel(call, nullptr); outcome != nullptr) throw std::runtime_error(outcome);
    copies.finish();
  }

  const KernelSet& kernels_;
};

}  // namespace retouchd::kernels
