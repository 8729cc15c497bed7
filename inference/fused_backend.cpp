#include "inference/fused_backend.h"

#include "inference/kernel_module.h"
#include "inference/restormer/restormer_config.h"
#include "inference/restormer/restormer_fused.h"
#include "inference/weights/weight_file.h"

namespace retouchd::inference {

Result<std::unique_ptr<TorchNetwork>> make_fused_network(const NetworkInfo& network, const ForwardOptions& options) {
  const auto none = [&network](const std::string& reason) {
    return make_error(ErrorCode::kDeviceFailed, "there are no kernels for " + network.name + ": " + reason);
  };
  if (!options.device.is_cuda()) return none(options.device.str() + " is no CUDA device");
  const auto weights = read_weights(network.weights);
  if (!weights) return weights.error();
  if (network.architecture == "restormer") {
    const auto config = restormer_config(weights->header);
    if (!config) return config.error();
    if (const std::string obstacle = fused_obstacle(*config, network.local_window, options.precision); !obstacle.empty())
      return none(obstacle);
  } else if (network.architecture == "student-tiny") {
    if (options.body() == at::kFloat) return none("the kernels compute with 16-bit numbers");
  } else {
    return none("they compute Restormer and student-tiny");
  }
  const auto kernels = cuda_kernels();
  if (!kernels) return kernels.error();
  ForwardOptions fused = options;
  fused.kernels = *kernels;
  return make_torch_network(network, *weights, fused);
}

}  // namespace retouchd::inference
