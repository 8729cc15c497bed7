// The judges of backend_choice.h as the daemon has them: packages of the cache on a device of LibTorch.
#include <c10/util/Exception.h>
#include <torch/version.h>

#include <algorithm>
#include <utility>

#include "inference/backend_choice.h"
#include "inference/comparison.h"
#include "inference/device_identity.h"
#include "inference/fused_backend.h"
#include "inference/load_log.h"
#include "inference/networks/package_network.h"
#include "inference/package_check.h"

namespace retouchd::inference {
namespace {

std::vector<Candidate> open_candidates(const NetworkInfo& network, const ForwardOptions& options, const BackendRequest& request,
                                       std::vector<std::string>& warnings) {
  auto found = CompiledCache(request.cache).find(network, identify_device(options.device), options.precision, TORCH_VERSION);
  warnings = std::move(found.warnings);
  std::vector<Candidate> candidates;
  for (CompiledPackage& package : found.packages) {
    auto opened = open_compiled(network, package, options);
    if (opened) {
      candidates.push_back({std::move(package), *std::move(opened)});
    } else {
      warnings.push_back(opened.error().message + "; it is not used");
    }
  }
  return candidates;
}

/// The fused network, if it computes what it should. A device that the kernels were not made for throws.
Result<std::unique_ptr<TorchNetwork>> checked_fused(const NetworkInfo& network, const ForwardOptions& options) {
  try {
    auto fused = make_fused_network(network, options);
    if (!fused) return fused;
    const cv::Size size(validation_side(network), validation_side(network));
    const auto compared = compare_with_plain(network, **fused, options, size);
    if (!compared) return compared.error();
    if (!compared->passed) return refusal_of(*compared);
    return fused;
  } catch (const c10::Error& error) {
    return make_error(ErrorCode::kDeviceFailed, error.what_without_backtrace());
  } catch (const std::exception& error) {
    return make_error(ErrorCode::kDeviceFailed, error.what());
  }
}

Chosen fused_or(std::unique_ptr<TorchNetwork> optimized, const NetworkInfo& network, const ForwardOptions& options) {
  auto fused = checked_fused(network, options);
  if (fused) return {*std::move(fused), {Backend::kFused, "fused", 1, "asked for", {}}};
  Chosen chosen{std::move(optimized), {}};
  chosen.choice.reason = "instead of fused";
  chosen.choice.warnings.push_back("backend: fused was asked for, but " + fused.error().message + "; " + network.name +
                                   " is computed by the optimized one instead");
  return chosen;
}

}  // namespace

Chosen choose_backend(const NetworkInfo& network, std::unique_ptr<TorchNetwork> optimized, const ForwardOptions& options,
                      const BackendRequest& request) {
  const auto keep = [&optimized](std::string reason, std::vector<std::string> warnings = {}) {
    return Chosen{std::move(optimized), {Backend::kOptimized, "optimized", 1, std::move(reason), std::move(warnings)}};
  };
  if (!options.optimize) return {std::move(optimized), {Backend::kOptimized, "plain", 1, "optimize: false", {}}};
  if (request.wanted == Backend::kOptimized) return keep("asked for");
  if (request.wanted == Backend::kFused) return fused_or(std::move(optimized), network, options);
  if (request.wanted == Backend::kAuto && request.deterministic)
    return keep("deterministic: true leaves no choice to the clock; backend: compiled takes packages nevertheless");
  std::vector<std::string> warnings;
  auto candidates = open_candidates(network, options, request, warnings);
  const bool must_compile = request.wanted == Backend::kCompiled;
  if (candidates.empty()) {
    if (must_compile) {
      warnings.push_back("backend: compiled was asked for, but there is no package of " + network.name + " in " +
                         std::string(name_of(options.precision)) + " for this device; make one with `retouch compile " +
                         network.name + "`");
    }
    return keep(must_compile ? "instead of compiled" : "nothing is compiled for it", std::move(warnings));
  }
  Judges judges;
  judges.batch = request.batch;
  judges.warn = [](const std::string& warning) { log_warning(warning); };
  judges.check = [&](const Candidate& candidate) -> Result<void> {
    const CompiledPackage& package = candidate.package;
    const auto compared =
        compare_with_plain(network, *candidate.network, options, {package.width, package.height}, std::min(2, package.batch));
    if (!compared) return compared.error();
    if (!compared->passed) return refusal_of(*compared);
    return {};
  };
  judges.trial = [&](const TorchNetwork& base, const Candidate& candidate) {
    const CompiledPackage& package = candidate.package;
    return try_out(network, options, base, *candidate.network, {package.width, package.height},
                   std::min(request.batch, package.batch));
  };
  judges.memory = [&](const TorchNetwork& base, const Candidate& candidate) {
    const CompiledPackage& package = candidate.package;
    return memory_ratio(network, options, base, *candidate.network, {package.width, package.height});
  };
  Chosen chosen = pick(std::move(optimized), std::move(candidates), request.wanted, judges);
  warnings.insert(warnings.end(), chosen.choice.warnings.begin(), chosen.choice.warnings.end());
  chosen.choice.warnings = std::move(warnings);
  if (chosen.choice.reason.empty()) chosen.choice.reason = "no package could be used";
  return chosen;
}

}  // namespace retouchd::inference
