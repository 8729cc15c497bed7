#include "inference/precision_choice.h"

#include "inference/identity.h"

namespace retouchd::inference {
namespace {

bool is_package(const NetworkInfo& network) {
  return network.architecture == "torchscript" || network.architecture == "aotinductor";
}

/// Why it cannot be; empty when it can.
std::string obstacle(Precision wanted, const NetworkInfo& network, const DeviceTraits& device) {
  const auto lacks = [&device](const char* what) { return device.name + " has no fast " + what; };
  if (wanted != Precision::kFp32 && wanted != Precision::kTf32) {
    if (is_package(network)) return "a package computes as it was made";
    if (network.companion == Companion::kDepth) return "distances need fp32";
  }
  switch (wanted) {
    case Precision::kFp32:
      return {};
    case Precision::kTf32:
      return device.tf32 ? "" : lacks("TF32");
    case Precision::kFp16:
      if (network.architecture == "drct") return "the token stream of DRCT leaves the range of fp16";
      return device.fp16 ? "" : lacks("fp16");
    case Precision::kBf16:
    case Precision::kMixed:
      return device.bf16 ? "" : lacks("bf16");
    case Precision::kInt8:
      if (network.architecture == "student-tiny") return "its layers are too thin to gain from int8";
      return device.int8 ? "" : lacks("int8");
  }
  return {};
}

/// What to try instead, best first; each ends in fp32.
Precision next_best(Precision wanted) {
  switch (wanted) {
    case Precision::kInt8:
    case Precision::kFp16:
    case Precision::kBf16:
      return wanted == Precision::kBf16 ? Precision::kFp32 : Precision::kMixed;
    default:
      return Precision::kFp32;
  }
}

}  // namespace

PrecisionChoice choose_precision(const NetworkInfo& network, const DeviceTraits& device, std::optional<Precision> wanted,
                                 bool optimize) {
  PrecisionChoice choice;
  if (is_identity(network)) {
    choice.reason = "numbers come back as they went in";
    return choice;
  }
  if (!optimize) {
    choice.reason = "the plain path computes in fp32";
    if (wanted && *wanted != Precision::kFp32)
      choice.warning = std::string(name_of(*wanted)) + " was asked for together with optimize: false, which always means fp32";
    return choice;
  }
  if (!wanted) {
    // Networks of some size gain a factor of two from half-width numbers; the built-in ones are exact and fast as they are.
    const bool is_large = network.architecture == "restormer" || network.architecture == "drct";
    if (is_large && obstacle(Precision::kMixed, network, device).empty()) {
      choice.precision = Precision::kMixed;
      choice.reason = "halves the time of large networks, statistics stay in fp32";
    } else {
      choice.reason = is_large ? device.name + " has no fast bf16" : "exact, and fast enough for a small network";
    }
    return choice;
  }
  choice.precision = *wanted;
  choice.reason = "asked for";
  while (true) {
    const std::string why_not = obstacle(choice.precision, network, device);
    if (why_not.empty()) break;
    if (choice.warning.empty()) choice.warning = std::string(name_of(*wanted)) + " was asked for, but " + why_not;
    choice.precision = next_best(choice.precision);
  }
  if (!choice.warning.empty()) {
    choice.reason = "instead of " + std::string(name_of(*wanted));
    choice.warning += "; " + network.name + " computes in " + std::string(name_of(choice.precision)) + " instead";
  }
  return choice;
}

}  // namespace retouchd::inference
