#include "inference/kernel_module.h"

#include <dlfcn.h>

#include <string>

namespace retouchd::inference {
namespace {

constexpr const char* kModule = "libretouchd_kernels.so";

Result<const kernels::KernelSet*> open_module() {
  const auto none = [](const std::string& reason) {
    return make_error(ErrorCode::kDeviceFailed, "the CUDA kernels are not there: " + reason);
  };
  void* const module = ::dlopen(kModule, RTLD_NOW | RTLD_LOCAL);
  if (module == nullptr) {
    const char* const reason = ::dlerror();
    return none((reason == nullptr ? std::string(kModule) : reason) + "; they are built where nvcc is found");
  }
  using Entry = const kernels::KernelSet* (*)(int);
  const auto entry = reinterpret_cast<Entry>(::dlsym(module, "retouchd_kernels"));
  const kernels::KernelSet* const set = entry == nullptr ? nullptr : entry(kernels::kKernelVersion);
  if (set == nullptr) return none(std::string(kModule) + " belongs to another version of retouchd; install both together");
  return set;
}

}  // namespace

Result<const kernels::KernelSet*> cuda_kernels() {
  static const Result<const kernels::KernelSet*> kernels = open_module();
  return kernels;
}

}  // namespace retouchd::inference
