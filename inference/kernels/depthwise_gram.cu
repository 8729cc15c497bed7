#include "inference/kernels/depthwise_gram.h"

#include "inference/kernels/cuda_launcher.h"

namespace retouchd::kernels {

Outcome depthwise_gram(const DepthwiseGramCall& call, Stream stream) {
  return dispatch_depthwise_gram(call, CudaLauncher(stream));
}

}  // namespace retouchd::kernels
