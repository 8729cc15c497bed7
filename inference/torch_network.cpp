#include "inference/torch_network.h"

#include <c10/util/Exception.h>

#include "inference/student_tiny.h"
#include "inference/weights.h"

namespace retouchd::inference {

Result<std::unique_ptr<TorchNetwork>> make_torch_network(const NetworkInfo& info, const WeightFile& weights,
                                                         const ForwardOptions& options) {
  const auto bad = [&info](const std::string& reason) {
    return make_error(ErrorCode::kBadWeights, info.weights.string() + ": " + reason);
  };
  try {
    WeightReader reader(weights, options.device);
    std::unique_ptr<TorchNetwork> network;
    if (info.architecture == "student-tiny") network = make_student_tiny(reader);
    if (!network) return bad("unknown architecture `" + info.architecture + "`");
    reader.expect_all_taken();
    return network;
  } catch (const BadWeights& error) {
    return bad(error.what());
  } catch (const c10::Error& error) {
    return bad(error.what_without_backtrace());
  }
}

}  // namespace retouchd::inference
