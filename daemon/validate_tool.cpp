#include "daemon/validate_tool.h"

#include <fmt/core.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "daemon/engine.h"
#include "daemon/tool_refusal.h"
#include "inference/validation.h"

namespace retouchd::daemon {
namespace {

using nlohmann::json;

bool is_in_model_folder(const std::filesystem::path& file, const config::Config& config) {
  std::error_code ignored;
  const auto folder = std::filesystem::weakly_canonical(file, ignored).parent_path();
  for (const auto& models : model_folders(config)) {
    if (std::filesystem::weakly_canonical(models, ignored) == folder) return true;
  }
  return false;
}

Result<inference::NetworkInfo> network_for(const config::Config& config, const ValidateOptions& options) {
  const inference::Registry::Options known = registry_options(config);
  if (options.weights) {
    return inference::describe_network(*options.weights, is_in_model_folder(*options.weights, config), known.local_attention,
                                       known.largest_file);
  }
  return inference::Registry(known).find(options.network.empty() ? config.network : options.network);
}

/// JSON has no infinity.
json number(double value) { return std::isfinite(value) ? json(value) : json(); }

json to_json(const inference::NetworkInfo& network, const inference::ValidationReport& report) {
  json checks = json::array();
  for (const inference::Check& check : report.checks) {
    checks.push_back({{"against", check.against},
                      {"max_difference", number(check.difference.largest)},
                      {"mean_difference", number(check.difference.mean)},
                      {"psnr", number(check.difference.psnr)},
                      {"finite", check.difference.is_finite},
                      {"tolerance", check.tolerance},
                      {"tolerance_of", check.measured},
                      {"passed", check.passed}});
  }
  return {{"network", network.name},
          {"architecture", network.architecture},
          {"variant", network.variant},
          {"file", network.weights.string()},
          {"device", report.device},
          {"precision", inference::name_of(report.precision)},
          {"reason", report.reason},
          {"warning", report.warning},
          {"input", report.input},
          {"seconds", report.seconds},
          {"plain_seconds", report.plain_seconds},
          {"checks", checks},
          {"passed", report.passed()}};
}

void print(const inference::NetworkInfo& network, const inference::ValidationReport& report) {
  fmt::print("{} ({}) in {} on {}\n", network.name, network.variant.empty() ? network.architecture : network.variant,
             inference::name_of(report.precision), report.device);
  if (!report.warning.empty()) fmt::print("  {}\n", report.warning);
  for (const inference::Check& check : report.checks) {
    fmt::print("  against {:<10}  max {:.3g}  mean {:.3g}  PSNR {:.1f} dB  {} up to {:.3g}: {}\n", check.against,
               check.difference.largest, check.difference.mean, check.difference.psnr, check.measured, check.tolerance,
               check.passed ? "passed" : "FAILED");
  }
}

}  // namespace

int validate_tool(const config::Config& config, const ValidateOptions& options) {
  const auto network = network_for(config, options);
  if (!network) return refuse(network.error());
  const auto report = inference::validate({*network, device_options(config), options.golden});
  if (!report) return refuse(report.error());
  if (options.json) {
    fmt::print("{}\n", to_json(*network, *report).dump());
  } else {
    print(*network, *report);
  }
  return report->passed() ? 0 : 1;
}

}  // namespace retouchd::daemon
