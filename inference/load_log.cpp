#include "inference/load_log.h"

#include <spdlog/spdlog.h>

namespace retouchd::inference {

void log_loaded(const NetworkInfo& network, const PrecisionChoice& choice) {
  if (!choice.warning.empty()) spdlog::warn("{}", choice.warning);
  spdlog::info("loaded network {} ({}), computes in {}: {}", network.name,
               network.variant.empty() ? network.architecture : network.variant, name_of(choice.precision), choice.reason);
}

}  // namespace retouchd::inference
