#include "inference/kernels/cuda_launcher.h"
#include "inference/kernels/feed_forward.h"
#include "inference/kernels/launch.h"
#include "inference/kernels/qkv_gram.h"

namespace retouchd::kernels {

// Each in a file of its own, as they take long to compile.
Outcome depthwise_gate(const DepthwiseGateCall& call, Stream stream);
Outcome pointwise(const PointwiseCall& call, Stream stream);
Outcome depthwise_gram(const DepthwiseGramCall& call, Stream stream);
Outcome qkv_gram(const QkvGramCall& call, Stream stream);
Outcome mixing(const MixingCall& call, Stream stream);
Outcome feed_forward(const FeedForwardCall& call, Stream stream);
Outcome pointwise_bytes(const PointwiseBytesCall& call, Stream stream);

namespace {

Outcome use_device(int index) { return CudaLauncher::outcome_of(cudaSetDevice(index)); }

int multiprocessors() {
  int device = 0;
  int count = 0;
  if (CudaLauncher::outcome_of(cudaGetDevice(&device)) != nullptr) return 0;
  if (CudaLauncher::outcome_of(cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device)) != nullptr) return 0;
  return count;
}

bool fits(OnChip kernel, int channels) {
  const std::size_t needed = kernel == OnChip::kQkvGram ? qkv_gram_shared(channels) : feed_forward_shared(channels);
  return needed > 0 && needed <= CudaLauncher::shared_memory();
}

constexpr KernelSet kKernels{use_device,     multiprocessors, fits,   depthwise_gate, pointwise,
                             depthwise_gram, qkv_gram,        mixing, feed_forward,   pointwise_bytes};

}  // namespace
}  // namespace retouchd::kernels

extern "C" __attribute__((visibility("default"))) const retouchd::kernels::KernelSet* retouchd_kernels(int version) {
  return version == retouchd::kernels::kKernelVersion ? &retouchd::kernels::kKernels : nullptr;
}
