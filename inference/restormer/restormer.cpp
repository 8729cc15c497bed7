#include "inference/restormer/restormer.h"

#include "inference/restormer/restormer_fused.h"
#include "inference/restormer/restormer_lean.h"
#include "inference/restormer/restormer_plain.h"
#include "inference/restormer/restormer_weights.h"

namespace retouchd::inference {

std::unique_ptr<TorchNetwork> make_restormer(WeightReader& weights, const RestormerConfig& config, const ForwardOptions& options,
                                             std::optional<int> local_window) {
  RestormerWeights taken = take_restormer(weights, config);
  if (options.kernels != nullptr) {
    if (const std::string obstacle = fused_obstacle(config, local_window, options.precision); !obstacle.empty())
      throw BadWeights("fused kernels cannot compute it: " + obstacle);
    return make_fused_restormer(taken, config, options);
  }
  if (options.optimize) return make_lean_restormer(taken, config, options, local_window);
  return make_plain_restormer(std::move(taken), config, local_window);
}

}  // namespace retouchd::inference
