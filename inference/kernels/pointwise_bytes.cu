#include "inference/kernels/pointwise_bytes.h"

#include "inference/kernels/cuda_launcher.h"

namespace retouchd::kernels {

Outcome pointwise_bytes(const PointwiseBytesCall& call, Stream stream) {
  return dispatch_pointwise_bytes(call, CudaLauncher(stream));
}

}  // namespace retouchd::kernels
