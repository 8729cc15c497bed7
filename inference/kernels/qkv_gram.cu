#include "inference/kernels/qkv_gram.h"

#include "inference/kernels/cuda_launcher.h"

namespace retouchd::kernels {

Outcome qkv_gram(const QkvGramCall& call, Stream stream) { return dispatch_qkv_gram(call, CudaLauncher(stream)); }

}  // namespace retouchd::kernels
