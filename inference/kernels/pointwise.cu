#include "inference/kernels/pointwise.h"

#include "inference/kernels/cuda_launcher.h"

namespace retouchd::kernels {

Outcome pointwise(const PointwiseCall& call, Stream stream) { return dispatch_pointwise(call, CudaLauncher(stream)); }

}  // namespace retouchd::kernels
