#pragma once

#include <c10/core/Device.h>

#include <string>
#include <string_view>

#include "inference/compiled_cache.h"

namespace retouchd::inference {

/// What compiled packages are tied to: a CPU's model and instruction sets, or a GPU's name and compute capability.
[[nodiscard]] DeviceIdentity identify_device(const at::Device& device);

/// The same of the text of /proc/cpuinfo.
[[nodiscard]] DeviceIdentity identify_cpu(std::string_view cpuinfo);

/// "NVIDIA H200", 9, 0 -> "cuda-nvidia-h200-sm90".
[[nodiscard]] DeviceIdentity identify_gpu(std::string_view name, int major, int minor);

}  // namespace retouchd::inference
