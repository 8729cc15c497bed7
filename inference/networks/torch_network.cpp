#include "inference/networks/torch_network.h"

#include <c10/util/Exception.h>

#include "inference/drct/drct.h"
#include "inference/identity.h"
#include "inference/networks/package_network.h"
#include "inference/networks/rgbd_tiny.h"
#include "inference/networks/student_tiny.h"
#include "inference/networks/weight_reader.h"
#include "inference/restormer/restormer.h"

namespace retouchd::inference {
namespace {

class Identity final : public TorchNetwork {
 public:
  at::Tensor forward(const at::Tensor& input) const override { return input; }
};

/// Throws BadWeights, c10::Error.
Result<std::unique_ptr<TorchNetwork>> build(const NetworkInfo& info, const WeightFile& file, const ForwardOptions& options) {
  WeightReader weights(file, options.device);
  std::unique_ptr<TorchNetwork> network;
  if (info.architecture == "student-tiny") {
    network = make_student_tiny(weights, options);
  } else if (info.architecture == "rgbd-tiny") {
    network = make_rgbd_tiny(weights);
  } else if (info.architecture == "restormer") {
    const auto config = restormer_config(file.header);
    if (!config) return config.error();
    network = make_restormer(weights, *config, options, info.local_window);
  } else if (info.architecture == "drct") {
    const auto config = drct_config(file.header);
    if (!config) return config.error();
    network = make_drct(weights, *config, options);
  } else {
    return make_error(ErrorCode::kBadWeights, "unknown architecture `" + info.architecture + "`");
  }
  weights.expect_all_taken();
  return network;
}

}  // namespace

Result<std::unique_ptr<TorchNetwork>> make_torch_network(const NetworkInfo& info, const WeightFile& weights,
                                                         const ForwardOptions& options) {
  const auto bad = [&info](const std::string& reason) {
    return make_error(ErrorCode::kBadWeights, info.weights.string() + ": " + reason);
  };
  try {
    auto network = build(info, weights, options);
    if (!network) return bad(network.error().message);
    return network;
  } catch (const BadWeights& error) {
    return bad(error.what());
  } catch (const c10::Error& error) {
    return bad(error.what_without_backtrace());
  }
}

Result<std::unique_ptr<TorchNetwork>> load_torch_network(const NetworkInfo& info, const ForwardOptions& options) {
  if (is_identity(info)) return std::unique_ptr<TorchNetwork>(std::make_unique<Identity>());
  if (info.architecture == "torchscript" || info.architecture == "aotinductor") return open_package(info, options);
  const auto weights = read_weights(info.weights);
  if (!weights) return weights.error();
  return make_torch_network(info, *weights, options);
}

}  // namespace retouchd::inference
