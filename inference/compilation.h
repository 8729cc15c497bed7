#pragma once

#include <filesystem>
#include <opencv2/core/types.hpp>
#include <string>

#include "inference/compiled_cache.h"
#include "inference/device.h"
#include "inference/trial.h"
#include "inference/validation.h"

namespace retouchd::inference {

struct CompilationRequest {
  NetworkInfo network;
  DeviceOptions device;          ///< the first one named; `compiled` is the cache
  cv::Size tile;                 ///< multiples of the network's
  int batch = 0;                 ///< the most tiles in one call; 0: as the device likes them
  bool tensorrt = false;         ///< TorchScript around TensorRT's engines instead of AOTInductor
  bool autotune = false;         ///< tries many kernels for each product
  std::filesystem::path python;  ///< with PyTorch of LibTorch's version; empty: python3 of PATH
  std::filesystem::path script;  ///< training/compile_network.py
};

struct CompilationReport {
  CompiledPackage package;  ///< in the cache
  PrecisionChoice precision;
  Check check;
  Trial trial;    ///< first: optimized
  int batch = 1;  ///< of the trial
  double compile_seconds = 0;
};

/// Has PyTorch compile a network for this device, compares the result with plain fp32 as validate() does, and keeps it in the
/// cache when it is valid. kInvalidRequest for what cannot be compiled, kDeviceFailed when compiling or the comparison failed.
[[nodiscard]] Result<CompilationReport> compile_network(const CompilationRequest& request);

}  // namespace retouchd::inference
