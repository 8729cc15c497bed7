#include "inference/open_graphs.h"

#include <c10/util/Exception.h>
#include <dlfcn.h>

#include <string>

#include "inference/cuda/graphs.h"

namespace retouchd::inference {
namespace {

constexpr const char* kModule = "libretouchd_cuda.so";

Error unavailable(const std::string& reason) {
  return make_error(ErrorCode::kDeviceFailed, "CUDA graphs are not there: " + reason);
}

}  // namespace

Result<std::unique_ptr<GraphBackend>> open_graphs(const at::Device& device) {
  if (!device.is_cuda()) return unavailable(device.str() + " is no CUDA device");
  // Found by the program's RPATH; never closed, since what it made may live as long as the process.
  void* const module = ::dlopen(kModule, RTLD_NOW | RTLD_LOCAL);
  if (module == nullptr) {
    const char* const reason = ::dlerror();
    return unavailable((reason == nullptr ? std::string(kModule) : reason) +
                       "; it is built beside a LibTorch with CUDA (RETOUCHD_LIBTORCH=cuda scripts/setup)");
  }
  const auto open = reinterpret_cast<decltype(&retouchd_cuda_graphs)>(::dlsym(module, "retouchd_cuda_graphs"));
  try {
    std::unique_ptr<GraphBackend> graphs(open == nullptr ? nullptr : open(kGraphsVersion, device.index()));
    if (!graphs) return unavailable(std::string(kModule) + " belongs to another version of retouchd; install both together");
    return graphs;
  } catch (const c10::Error& error) {
    return unavailable(error.what_without_backtrace());
  }
}

}  // namespace retouchd::inference
