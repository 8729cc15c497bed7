#include "inference/load_log.h"

#include <spdlog/spdlog.h>

namespace retouchd::inference {

void log_loaded(const NetworkInfo& network, const PrecisionChoice& choice, const BackendChoice& backend) {
  if (!choice.warning.empty()) spdlog::warn("{}", choice.warning);
  for (const std::string& warning : backend.warnings) spdlog::warn("{}", warning);
  spdlog::info("loaded network {} ({}), computes in {}: {}", network.name,
               network.variant.empty() ? network.architecture : network.variant, name_of(choice.precision), choice.reason);
  if (backend.reason.empty()) return;
  if (backend.backend == Backend::kCompiled) {
    spdlog::info("network {}: backend {}", network.name, backend.reason);
  } else {
    spdlog::info("network {}: backend {}: {}", network.name, backend.name, backend.reason);
  }
}

void log_warning(const std::string& text) { spdlog::warn("{}", text); }

}  // namespace retouchd::inference
