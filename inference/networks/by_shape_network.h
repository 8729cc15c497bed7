#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "inference/networks/torch_network.h"

namespace retouchd::inference {

/// A network that computes tiles of one shape only, and few of them in one call.
struct ShapedNetwork {
  std::int64_t height = 0;
  std::int64_t width = 0;
  std::int64_t batch = 1;  ///< the most tiles in one call
  std::string name;        ///< for warnings: "the compiled package for 512x512"
  std::unique_ptr<TorchNetwork> network;
};

/// Computes by the first of `shaped` that has the input's shape, in parts where the batch is larger than it takes; everything
/// else by `otherwise`. One that throws where `otherwise` does not is left out from then on, which `warn` is told once; it is
/// called from the computing thread.
[[nodiscard]] std::unique_ptr<TorchNetwork> make_by_shape(std::unique_ptr<TorchNetwork> otherwise,
                                                          std::vector<ShapedNetwork> shaped,
                                                          std::function<void(const std::string& warning)> warn);

}  // namespace retouchd::inference
