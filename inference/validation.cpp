#include "inference/validation.h"

#include <ATen/Functions.h>
#include <c10/core/InferenceMode.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <chrono>

#include "inference/comparison.h"
#include "inference/cuda_settings.h"
#include "inference/fused_backend.h"
#include "inference/networks/layers.h"
#include "inference/networks/weight_reader.h"
#include "inference/torch_device.h"

namespace retouchd::inference {
namespace {

/// Throws BadWeights.
at::Tensor take_any(WeightReader& file, const std::string& name) {
  const auto shape = file.shape_of(name);
  if (shape.size() != 4) throw BadWeights("tensor `" + name + "` is not [N, C, H, W]");
  return file.take(name, shape);
}

struct Golden {
  at::Tensor input;   // [N, H, W, C]
  at::Tensor output;  // undefined when there is none
};

/// Throws BadWeights.
Golden read_golden(const NetworkInfo& network, const WeightFile& file) {
  WeightReader reader(file, at::kCPU);
  at::Tensor input = take_any(reader, "input");
  if (network.companion == Companion::kDepth) input = at::cat({input, take_any(reader, "depth")}, 1);
  if (input.size(1) != network.input_channels())
    throw BadWeights("`input` has " + std::to_string(input.size(1)) + " channels, the network takes " +
                     std::to_string(network.input_channels()));
  for (const std::int64_t side : {input.size(2), input.size(3)}) {
    if (side % network.multiple != 0)
      throw BadWeights("`input` has a side of " + std::to_string(side) + " pixels, which is no multiple of " +
                       std::to_string(network.multiple));
  }
  Golden golden{to_nhwc(input), {}};
  if (file.header.find("output") != nullptr) golden.output = to_nhwc(take_any(reader, "output"));
  return golden;
}

struct Timed {
  at::Tensor output;
  double seconds = 0;
};

Timed run(const TorchNetwork& network, const at::Tensor& input, const ForwardOptions& options) {
  allow_tf32(options.precision);
  const auto start = std::chrono::steady_clock::now();
  Timed timed;
  timed.output = network.forward(input.to(options.device)).to(at::kCPU);
  timed.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return timed;
}

}  // namespace

Check judge(std::string against, const Difference& difference, Precision precision) {
  Check check{std::move(against), "mean difference", difference, tolerance_of(precision), false};
  double measured = difference.mean;
  if (precision == Precision::kFp32) {
    check.measured = "largest difference";
    check.tolerance *= std::max(difference.reference_peak, 1e-3);
    measured = difference.largest;
  }
  check.passed = difference.is_finite && measured <= check.tolerance;
  return check;
}

bool ValidationReport::passed() const {
  return std::all_of(checks.begin(), checks.end(), [](const Check& check) { return check.passed; });
}

Result<ValidationReport> validate(const ValidationRequest& request) {
  const NetworkInfo& network = request.network;
  const auto kind = find_device(request.device);
  if (!kind) return kind.error();
  const PrecisionChoice choice = choose_precision(network, kind->traits, request.device.precision, request.device.optimize);
  ValidationReport report{kind->description, choice.precision, choice.reason, choice.warning, {}, 0, 0, {}};
  try {
    const c10::InferenceMode inference;
    Golden golden;
    if (request.golden) {
      const auto file = read_weights(*request.golden);
      if (!file) return file.error();
      golden = read_golden(network, *file);
    } else {
      golden.input = generated_input(network, validation_side(network));
    }
    const auto& input = golden.input;
    report.input = {input.size(0), input.size(3), input.size(1), input.size(2)};

    ForwardOptions options{kind->device, choice.precision, request.device.optimize, kind->strip_pixels};
    const bool fused = request.device.backend == Backend::kFused && request.device.optimize;
    auto chosen = fused ? make_fused_network(network, options) : load_torch_network(network, options);
    if (!chosen) return chosen.error();
    (void)run(**chosen, input, options);  // the first pass pays for memory and kernels
    const Timed result = run(**chosen, input, options);
    report.seconds = result.seconds;
    if (golden.output.defined()) {
      if (golden.output.sizes() != result.output.sizes()) throw BadWeights("`output` is not of the size that the network gives");
      report.checks.push_back(judge("golden", difference_of(result.output, golden.output, network), choice.precision));
    }
    if (request.device.optimize || !golden.output.defined()) {
      options.optimize = false;
      options.precision = Precision::kFp32;
      auto plain = load_torch_network(network, options);
      if (!plain) return plain.error();
      const Timed reference = run(**plain, input, options);
      report.plain_seconds = reference.seconds;
      report.checks.push_back(judge("plain fp32", difference_of(result.output, reference.output, network), choice.precision));
    }
  } catch (const BadWeights& error) {
    return make_error(ErrorCode::kBadWeights, request.golden->string() + ": " + error.what());
  } catch (const c10::Error& error) {
    return make_error(ErrorCode::kDeviceFailed, kind->traits.name + ": " + error.what_without_backtrace());
  } catch (const std::exception& error) {
    return make_error(ErrorCode::kDeviceFailed, kind->traits.name + ": " + error.what());
  }
  return report;
}

}  // namespace retouchd::inference
