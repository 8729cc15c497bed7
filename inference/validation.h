#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "inference/device.h"
#include "inference/network_info.h"

namespace retouchd::inference {

/// How far one result is from another. Numbers are as tensors hold them: colours in [0, 1], depth in metres.
struct Difference {
  double largest = 0;
  double mean = 0;            ///< of absolute differences (L1)
  double psnr = 0;            ///< dB, for a peak of 1 (depth: of the reference's largest value); infinite when equal
  double reference_peak = 0;  ///< largest absolute value of the reference
  bool is_finite = true;      ///< false: the result holds NaN or infinity
};

struct Check {
  std::string against;   ///< "plain fp32", "golden"
  std::string measured;  ///< what the tolerance bounds: "mean difference", "largest difference"
  Difference difference;
  double tolerance = 0;
  bool passed = false;
};

/// fp32: the largest difference, relative to the reference's peak, up to 1e-5; else the mean difference up to tolerance_of().
[[nodiscard]] Check judge(std::string against, const Difference& difference, Precision precision);

struct ValidationRequest {
  NetworkInfo network;
  DeviceOptions device;
  /// safetensors with `input` [N, C, H, W], `output`, and `depth` [N, 1, H, W] (metres) where the network takes one. Without
  /// `output` it only gives the input.
  std::optional<std::filesystem::path> golden;
};

struct ValidationReport {
  std::string device;
  Precision precision = Precision::kFp32;
  std::string reason;               ///< why this precision
  std::string warning;              ///< another precision was asked for
  std::vector<std::int64_t> input;  ///< its shape, [N, C, H, W]
  double seconds = 0;               ///< of the path that was validated
  double plain_seconds = 0;
  std::vector<Check> checks;

  [[nodiscard]] bool passed() const;
};

/// Runs the network as the daemon would without packages (those are compared when they are made), through fused kernels where
/// `backend` names them, and by the plain fp32 path, on the same input, and compares; with golden outputs those, too.
/// kBadWeights, kDeviceFailed, also where there are no kernels.
[[nodiscard]] Result<ValidationReport> validate(const ValidationRequest& request);

}  // namespace retouchd::inference
