#include "inference/torch_device.h"

#include <ATen/Context.h>
#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <dlfcn.h>
#include <torch/version.h>

#include <algorithm>
#include <exception>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>
#include <thread>

#include "inference/tensor_cache.h"

namespace retouchd::inference {
namespace {

/// Writes `window` as RGB fp32 in [0, 1] into `plane` ([side, side, 3] floats), padding to the right and below by reflection.
void fill(const cv::Mat& window, cv::Mat& plane) {
  const double scale = window.depth() == CV_16U ? 1.0 / 65535.0 : 1.0 / 255.0;
  cv::Mat colour = window;
  if (window.channels() == 1) cv::cvtColor(window, colour, cv::COLOR_GRAY2RGB);
  const int right = plane.cols - window.cols;
  const int below = plane.rows - window.rows;
  if (right == 0 && below == 0) {
    colour.convertTo(plane, CV_32F, scale);
    return;
  }
  cv::Mat unit;
  colour.convertTo(unit, CV_32F, scale);
  cv::copyMakeBorder(unit, plane, 0, below, 0, right, cv::BORDER_REFLECT_101 | cv::BORDER_ISOLATED);
}

/// The window's own part of a restored plane, one channel for gray.
cv::Mat extract(const cv::Mat& plane, const cv::Mat& window, int scale) {
  const cv::Mat part = plane(cv::Rect(0, 0, window.cols * scale, window.rows * scale));
  if (window.channels() == 3) return part.clone();
  cv::Mat gray;
  // The three channels were equal going in; their mean has less noise than any one of them.
  cv::transform(part, gray, cv::Matx13f(1.0F / 3, 1.0F / 3, 1.0F / 3));
  return gray;
}

bool cuda_is_there() {
  // The CPU installation has no libtorch_cuda; loading it registers the CUDA back end with libtorch_cpu.
  static const bool loaded = ::dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) != nullptr;
  return loaded && at::hasCUDA();
}

}  // namespace

TorchDevice::TorchDevice(const at::Device& device, std::string description, int default_batch)
    : device_(device), description_(std::move(description)), default_batch_(default_batch) {}

TorchDevice::~TorchDevice() = default;

std::string TorchDevice::name() const { return device_.is_cpu() ? "cpu" : device_.str(); }

Result<void> TorchDevice::load(const NetworkInfo& network) {
  if (networks_.contains(network.name)) return {};
  auto weights = read_weights(network.weights);
  if (!weights) return weights.error();
  const c10::InferenceMode inference;
  auto built = make_torch_network(network, *weights, ForwardOptions{device_});
  if (!built) return built.error();
  networks_[network.name] = std::move(*built);
  return {};
}

Result<std::vector<cv::Mat>> TorchDevice::restore(const NetworkInfo& network, int side, std::span<const cv::Mat> windows) {
  const auto found = networks_.find(network.name);
  if (found == networks_.end())
    return make_error(ErrorCode::kInternal, "network " + network.name + " was not loaded on " + name());
  std::vector<cv::Mat> restored(windows.size());
  const auto failed = [&](const std::string& reason) {
    return make_error(ErrorCode::kDeviceFailed,
                      name() + " failed on a batch of " + std::to_string(windows.size()) + ": " + reason);
  };
  try {
    if (device_.is_cpu()) {
      // One tile per thread beats one big batch over all threads: its activations stay nearer to the cache, nothing waits at
      // barriers.
      at::parallel_for(0, static_cast<std::int64_t>(windows.size()), 1, [&](std::int64_t begin, std::int64_t end) {
        for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
          forward(*found->second, network.scale, side, windows.subspan(i, 1), std::span(restored).subspan(i, 1));
        }
      });
    } else {
      forward(*found->second, network.scale, side, windows, restored);
    }
  } catch (const c10::Error& error) {
    return failed(error.what_without_backtrace());
  } catch (const std::exception& error) {
    return failed(error.what());
  }
  return restored;
}

void TorchDevice::forward(const TorchNetwork& network, int scale, int side, std::span<const cv::Mat> windows,
                          std::span<cv::Mat> restored) const {
  const c10::InferenceMode inference;
  const auto count = static_cast<std::int64_t>(windows.size());
  at::Tensor input = at::empty({count, side, side, 3}, at::TensorOptions().dtype(at::kFloat).pinned_memory(device_.is_cuda()));
  const std::size_t stride = static_cast<std::size_t>(side) * static_cast<std::size_t>(side) * 3;
  for (std::size_t i = 0; i < windows.size(); ++i) {
    cv::Mat plane(side, side, CV_32FC3, input.data_ptr<float>() + i * stride);
    fill(windows[i], plane);
  }
  const at::Tensor output = network.forward(input.to(device_)).to(at::kCPU).contiguous();
  const int out_side = side * scale;
  const std::size_t out_stride = stride * static_cast<std::size_t>(scale * scale);
  for (std::size_t i = 0; i < windows.size(); ++i) {
    const cv::Mat plane(out_side, out_side, CV_32FC3, output.data_ptr<float>() + i * out_stride);
    restored[i] = extract(plane, windows[i], scale);
  }
}

Result<std::unique_ptr<Device>> open_device(const DeviceOptions& options) {
  if (options.kind != DeviceKind::kCpu && cuda_is_there()) {
    return std::unique_ptr<Device>(
        std::make_unique<TorchDevice>(at::Device(at::kCUDA, 0), "NVIDIA GPU 0 through LibTorch " + libtorch_version(), 16));
  }
  if (options.kind == DeviceKind::kCuda) {
    return make_error(ErrorCode::kDeviceFailed,
                      "device: cuda was asked for, but LibTorch finds no CUDA device (driver or libtorch_cuda missing)");
  }
  const int cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  const int threads = options.threads > 0 ? options.threads : cores;
  at::set_num_threads(threads);
  TensorCache::install();
  return std::unique_ptr<Device>(std::make_unique<TorchDevice>(
      at::Device(at::kCPU),
      "CPU, " + std::to_string(threads) + (threads == 1 ? " thread" : " threads") + ", LibTorch " + libtorch_version(),
      2 * threads));
}

std::string libtorch_version() { return TORCH_VERSION; }

}  // namespace retouchd::inference
