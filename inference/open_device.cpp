#include <ATen/Context.h>
#include <ATen/DeviceAccelerator.h>
#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <dlfcn.h>
#include <torch/version.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>
#include <string_view>
#include <thread>
#include <vector>

#include "inference/cuda_settings.h"
#include "inference/remote/model_server.h"
#include "inference/simulated_device.h"
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
  kind.threads = threads;
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

int cuda_devices() { return cuda_is_there() ? at::accelerator::deviceCount() : 0; }

TorchDevice::Kind cuda_kind(int index, bool deterministic) {
  const at::Device device(at::kCUDA, static_cast<c10::DeviceIndex>(index));
  set_up_cuda(device, deterministic);
  return gpu_kind(device, "NVIDIA GPU " + std::to_string(index));
}

TorchDevice::Kind cpu_kind(const DeviceOptions& options) {
  const int cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  const int threads = options.threads > 0 ? options.threads : cores;
  at::set_num_threads(threads);
  TensorCache::install();
  return cpu_kind(threads);
}

constexpr std::string_view kSimulated = "simulated";
constexpr std::string_view kServer = "http://";

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

/// "cuda:1" -> 1; nullopt: not of that form.
std::optional<int> index_in(std::string_view name) {
  constexpr std::string_view kCuda = "cuda:";
  if (!name.starts_with(kCuda)) return std::nullopt;
  name.remove_prefix(kCuda.size());
  int index = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), index);
  if (error != std::errc{} || end != name.data() + name.size() || index < 0) return std::nullopt;
  return index;
}

Error missing(std::string_view name, const std::string& reason) {
  return make_error(ErrorCode::kDeviceFailed, "device: " + std::string(name) + " was asked for, but " + reason);
}

/// The names of single devices that `text` stands for: "cpu", "cuda:1", "mps", "simulated", "http://host:port".
Result<std::vector<std::string>> names_in(std::string_view text) {
  if (trimmed(text) == "auto") {
    if (const int count = cuda_devices(); count > 0) return names_in("cuda");
    return std::vector<std::string>{at::hasMPS() ? "mps" : "cpu"};
  }
  std::vector<std::string> names;
  std::set<std::string> seen;
  while (true) {
    const auto comma = text.find(',');
    const std::string name(trimmed(text.substr(0, comma)));
    if (name == "cuda") {
      if (cuda_devices() == 0)
        return missing(name,
                       "LibTorch finds no CUDA device (driver or libtorch_cuda missing); install them, or use `device: cpu`");
      for (int i = 0; i < cuda_devices(); ++i) names.push_back("cuda:" + std::to_string(i));
    } else if (name == "cpu" || name == "mps" || name == kSimulated || name.starts_with(kServer)) {
      names.push_back(name);
    } else if (const auto index = index_in(name)) {
      names.push_back("cuda:" + std::to_string(*index));
    } else {
      return make_error(ErrorCode::kBadConfig,
                        "device: `" + name +
                            "` is none of auto, cpu, cuda, cuda:0, cuda:1, ..., mps, simulated and "
                            "http://<host>:<port>; several are separated by commas, and auto stands alone");
    }
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  for (const std::string& name : names) {
    if (name != kSimulated && !seen.insert(name).second)
      return make_error(ErrorCode::kBadConfig, "device: " + name + " is named twice; once is enough");
  }
  return names;
}

Result<TorchDevice::Kind> kind_of(const std::string& name, const DeviceOptions& options) {
  if (name == "cpu") return cpu_kind(options);
  if (name == "mps") {
    if (!at::hasMPS()) return missing(name, "this LibTorch has no Metal back end; use `device: cpu`");
    return gpu_kind(at::Device(at::kMPS, 0), "Apple GPU");
  }
  const int index = *index_in(name);
  const int count = cuda_devices();
  if (index >= count) {
    return missing(name, "LibTorch finds " +
                             (count == 0 ? std::string("no CUDA device (driver or libtorch_cuda missing)")
                                         : std::to_string(count) + " of them, counted from cuda:0") +
                             "; use another one, or `device: cpu`");
  }
  return cuda_kind(index, options.deterministic);
}

}  // namespace

Result<TorchDevice::Kind> find_device(const DeviceOptions& options) {
  const auto names = names_in(options.devices);
  if (!names) return names.error();
  if (names->front() == kSimulated)
    return make_error(ErrorCode::kBadConfig, "device: a simulated device computes nothing; use another one for this");
  if (names->front().starts_with(kServer))
    return make_error(ErrorCode::kBadConfig, "device: a model server computes elsewhere; use another one for this");
  return kind_of(names->front(), options);
}

Result<std::vector<std::unique_ptr<Device>>> open_devices(const DeviceOptions& options) {
  const auto names = names_in(options.devices);
  if (!names) return names.error();
  std::vector<std::unique_ptr<Device>> devices;
  int simulated = 0;
  for (const std::string& name : *names) {
    if (name == kSimulated) {
      const auto simulation = parse_simulation(options.simulation);
      if (!simulation) return simulation.error();
      devices.push_back(std::make_unique<SimulatedDevice>("sim:" + std::to_string(simulated++), *simulation, options));
      continue;
    }
    if (name.starts_with(kServer)) {
      ModelServerOptions server;
      server.precision = options.precision;
      auto opened = open_model_server(name, server);
      if (!opened) return opened.error();
      devices.push_back(*std::move(opened));
      continue;
    }
    auto kind = kind_of(name, options);
    if (!kind) return kind.error();
    devices.push_back(std::make_unique<TorchDevice>(*std::move(kind), options));
  }
  return devices;
}

std::string libtorch_version() { return TORCH_VERSION; }

}  // namespace retouchd::inference
