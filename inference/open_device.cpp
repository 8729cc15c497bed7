#include <ATen/Context.h>
#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <dlfcn.h>
#include <torch/version.h>

#include <algorithm>
#include <thread>

#include "inference/tensor_cache.h"
#include "inference/torch_device.h"

namespace retouchd::inference {
namespace {

/// Tiles for one call on a GPU, and pixels of a strip there: enough to fill it.
constexpr int kGpuBatch = 16;
constexpr std::int64_t kGpuStrip = std::int64_t{4} << 20U;
/// On a CPU a strip of the widest activations should stay in a core's L2 cache.
constexpr std::int64_t kCpuStrip = 16384;

bool cuda_is_there() {
  // The CPU installation has no libtorch_cuda; loading it registers the CUDA back end with libtorch_cpu.
  static const bool loaded = ::dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) != nullptr;
  return loaded && at::hasCUDA();
}

/// Whether the device multiplies matrices of that type at all. What it could only emulate is ruled out before.
bool multiplies(const at::Device& device, at::ScalarType type) {
  try {
    const at::Tensor matrix = at::ones({32, 32}, at::TensorOptions().dtype(type).device(device));
    if (type == at::kChar) return at::_int_mm(matrix, matrix).sum().item<std::int64_t>() == 32 * 32 * 32;
    return at::mm(matrix, matrix).to(at::kFloat).sum().item<float>() == 32.0F * 32.0F * 32.0F;
  } catch (const std::exception&) {
    return false;
  }
}

TorchDevice::Kind cpu_kind(int threads) {
  __builtin_cpu_init();
  TorchDevice::Kind kind;
  kind.description =
      "CPU, " + std::to_string(threads) + (threads == 1 ? " thread" : " threads") + ", LibTorch " + libtorch_version();
  kind.default_batch = 2 * threads;
  kind.lanes = threads;
  kind.traits.name = "cpu";
  kind.traits.bf16 = __builtin_cpu_supports("avx512bf16") != 0 && multiplies(kind.device, at::kBFloat16);
  kind.traits.int8 = __builtin_cpu_supports("avx512vnni") != 0 && multiplies(kind.device, at::kChar);
  kind.strip_pixels = kCpuStrip;
  return kind;
}

TorchDevice::Kind gpu_kind(const at::Device& device, const std::string& description) {
  TorchDevice::Kind kind;
  kind.device = device;
  kind.description = description + " through LibTorch " + libtorch_version();
  kind.default_batch = kGpuBatch;
  kind.traits.name = device.str();
  kind.traits.fp16 = multiplies(device, at::kHalf);
  kind.traits.bf16 = multiplies(device, at::kBFloat16);
  kind.traits.tf32 = device.is_cuda() && kind.traits.bf16;  // both came with Ampere
  kind.traits.int8 = device.is_cuda() && multiplies(device, at::kChar);
  kind.strip_pixels = kGpuStrip;
  return kind;
}

}  // namespace

Result<TorchDevice::Kind> find_device(const DeviceOptions& options) {
  const auto accepts = [&options](DeviceKind kind) { return options.kind == DeviceKind::kAuto || options.kind == kind; };
  if (accepts(DeviceKind::kCuda) && cuda_is_there()) return gpu_kind(at::Device(at::kCUDA, 0), "NVIDIA GPU 0");
  if (options.kind == DeviceKind::kCuda) {
    return make_error(ErrorCode::kDeviceFailed,
                      "device: cuda was asked for, but LibTorch finds no CUDA device (driver or libtorch_cuda missing)");
  }
  if (accepts(DeviceKind::kMps) && at::hasMPS()) return gpu_kind(at::Device(at::kMPS, 0), "Apple GPU");
  if (options.kind == DeviceKind::kMps)
    return make_error(ErrorCode::kDeviceFailed, "device: mps was asked for, but this LibTorch has no Metal back end");

  const int cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  const int threads = options.threads > 0 ? options.threads : cores;
  at::set_num_threads(threads);
  TensorCache::install();
  return cpu_kind(threads);
}

Result<std::unique_ptr<Device>> open_device(const DeviceOptions& options) {
  auto kind = find_device(options);
  if (!kind) return kind.error();
  return std::unique_ptr<Device>(std::make_unique<TorchDevice>(*std::move(kind), options.precision, options.optimize));
}

std::string libtorch_version() { return TORCH_VERSION; }

}  // namespace retouchd::inference
