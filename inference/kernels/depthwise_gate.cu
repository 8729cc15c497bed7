#include "inference/kernels/depthwise_gate.h"

#include "inference/kernels/cuda_launcher.h"

namespace retouchd::kernels {

Outcome depthwise_gate(const DepthwiseGateCall& call, Stream stream) {
  return dispatch_depthwise_gate(call, CudaLauncher(stream));
}

}  // namespace retouchd::kernels
