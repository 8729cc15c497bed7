#pragma once

#include <optional>
#include <string>

#include "inference/network_info.h"
#include "inference/precision.h"

namespace retouchd::inference {

/// What a device computes well. A type that it could only emulate counts as missing.
struct DeviceTraits {
  std::string name;  ///< "cpu", "cuda:0"
  bool tf32 = false;
  bool fp16 = false;
  bool bf16 = false;
  bool int8 = false;
};

struct PrecisionChoice {
  Precision precision = Precision::kFp32;
  std::string reason;   ///< one clause: why this one
  std::string warning;  ///< not empty when something else was asked for: what, why not, and what is used instead
};

/// The precision for one network on one device. `wanted`: nullopt lets it choose.
[[nodiscard]] PrecisionChoice choose_precision(const NetworkInfo& network, const DeviceTraits& device,
                                               std::optional<Precision> wanted, bool optimize);

}  // namespace retouchd::inference
