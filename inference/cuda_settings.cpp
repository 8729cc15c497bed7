#include "inference/cuda_settings.h"

#include <ATen/Context.h>
#include <ATen/Functions.h>
#include <c10/core/AllocatorConfig.h>
#include <c10/util/Exception.h>

#include <cstdlib>

#include "inference/device_log.h"

namespace retouchd::inference {
namespace {

bool is_set(const char* name) {
  const char* const value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nobody here writes the environment
  return value != nullptr && *value != '\0';
}

/// The settings are the process's, so a device that cannot follow them turns them off for all.
void grow_segments(const at::Device& device) {
  if (is_set("PYTORCH_ALLOC_CONF") || is_set("PYTORCH_CUDA_ALLOC_CONF")) return;
  static bool was_refused = false;  // devices are opened by one thread
  if (was_refused) return;
  try {
    c10::CachingAllocator::setAllocatorSettings("expandable_segments:True");
    const at::Tensor probe = at::empty({1}, at::TensorOptions().device(device));
  } catch (const c10::Error& error) {
    was_refused = true;
    c10::CachingAllocator::setAllocatorSettings("expandable_segments:False");
    log_of_device("the memory of " + device.str() + " is not managed in segments that grow: " + error.what_without_backtrace());
  }
}

}  // namespace

void set_up_cuda(const at::Device& device, bool deterministic) {
  grow_segments(device);
  at::Context& context = at::globalContext();
  context.setBenchmarkCuDNN(!deterministic);
  context.setDeterministicCuDNN(deterministic);
  context.setAllowFP16ReductionCuBLAS(false);
  context.setAllowBF16ReductionCuBLAS(false);
}

void allow_tf32(Precision precision) {
  at::globalContext().setAllowTF32CuBLAS(precision == Precision::kTf32);
  at::globalContext().setAllowTF32CuDNN(precision == Precision::kTf32);
}

}  // namespace retouchd::inference
