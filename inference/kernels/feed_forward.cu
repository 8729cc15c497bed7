#include "inference/kernels/feed_forward.h"

#include "inference/kernels/cuda_launcher.h"

namespace retouchd::kernels {

Outcome feed_forward(const FeedForwardCall& call, Stream stream) { return dispatch_feed_forward(call, CudaLauncher(stream)); }

}  // namespace retouchd::kernels
