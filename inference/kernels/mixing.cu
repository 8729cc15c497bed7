#include "inference/kernels/mixing.h"

#include "inference/kernels/cuda_launcher.h"

namespace retouchd::kernels {

Outcome mixing(const MixingCall& call, Stream stream) { return dispatch_mixing(call, CudaLauncher(stream)); }

}  // namespace retouchd::kernels
