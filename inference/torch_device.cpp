#include "inference/torch_device.h"

#include <ATen/Context.h>
#include <ATen/DeviceAccelerator.h>
#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <exception>
#include <opencv2/core.hpp>

#include "base/file.h"
#include "inference/comparison.h"
#include "inference/load_log.h"
#include "inference/tensor_cache.h"
#include "inference/tensor_pictures.h"

namespace retouchd::inference {
namespace {

/// Compares `network` with the plain fp32 path on a small picture. Throws what LibTorch throws.
Result<void> check_against_plain(const NetworkInfo& info, const TorchNetwork& network, ForwardOptions options) {
  const at::Tensor input = generated_input(info, validation_side(info));
  const at::Tensor output = network.forward(input.to(options.device)).to(at::kCPU);
  const Precision precision = options.precision;
  options.optimize = false;
  options.precision = Precision::kFp32;
  auto plain = load_torch_network(info, options);
  if (!plain) return plain.error();
  const at::Tensor reference = (*plain)->forward(input.to(options.device)).to(at::kCPU);
  const Check check = judge("plain fp32", difference_of(output, reference, info), precision);
  if (check.passed) return {};
  return make_error(ErrorCode::kDeviceFailed, "network " + info.name + " in " + std::string(name_of(precision)) + " on " +
                                                  options.device.str() + " is refused: its " + check.measured +
                                                  " from plain fp32 is " + std::to_string(check.difference.mean) +
                                                  ", allowed are " + std::to_string(check.tolerance) + "; set `precision: fp32`");
}

}  // namespace

TorchDevice::TorchDevice(Kind kind, std::optional<Precision> wanted, bool optimize)
    : kind_(std::move(kind)), wanted_(wanted), optimize_(optimize) {}

TorchDevice::~TorchDevice() = default;

Error TorchDevice::failed(std::size_t windows, const std::string& reason) const {
  return make_error(ErrorCode::kDeviceFailed, name() + " failed on a batch of " + std::to_string(windows) + ": " + reason);
}

Result<void> TorchDevice::load(const NetworkInfo& network) {
  if (networks_.contains(network.id())) return {};
  const auto digest = sha256_hex_of_file(network.weights);
  if (!digest) return make_error(ErrorCode::kBadWeights, digest.error().message);
  if (*digest != network.sha256)
    return make_error(ErrorCode::kBadWeights,
                      network.weights.string() + " changed since it was listed; reload the daemon (SIGHUP)");

  const PrecisionChoice choice = precision_for(network);
  ForwardOptions options{kind_.device, choice.precision, optimize_, kind_.strip_pixels};
  at::globalContext().setAllowTF32CuBLAS(choice.precision == Precision::kTf32);
  at::globalContext().setAllowTF32CuDNN(choice.precision == Precision::kTf32);
  try {
    const c10::InferenceMode inference;
    auto built = load_torch_network(network, options);
    if (!built) return built.error();
    if (auto checked = check_against_plain(network, **built, options); !checked) return checked;
    networks_[network.id()] = {std::move(*built), ++loads_};
  } catch (const c10::Error& error) {
    return make_error(ErrorCode::kDeviceFailed, name() + " cannot run " + network.name + ": " + error.what_without_backtrace());
  } catch (const std::exception& error) {
    return make_error(ErrorCode::kDeviceFailed, name() + " cannot run " + network.name + ": " + error.what());
  }
  TensorCache::instance().trim();
  log_loaded(network, choice);
  forget_old_versions(network.name);
  return {};
}

void TorchDevice::forget_old_versions(const std::string& name) {
  while (true) {
    auto oldest = networks_.end();
    int versions = 0;
    for (auto it = networks_.begin(); it != networks_.end(); ++it) {
      if (!it->first.starts_with(name + "@")) continue;
      ++versions;
      if (oldest == networks_.end() || it->second.order < oldest->second.order) oldest = it;
    }
    if (versions <= 2) return;
    networks_.erase(oldest);
  }
}

Result<std::vector<cv::Mat>> TorchDevice::restore(const NetworkInfo& network, cv::Size tensor, std::span<const Window> windows) {
  const auto found = networks_.find(network.id());
  if (found == networks_.end())
    return make_error(ErrorCode::kInternal, "network " + network.name + " was not loaded on " + name());
  std::vector<cv::Mat> restored(windows.size());
  try {
    forward_all(found->second, network, tensor, windows, restored);
  } catch (const c10::Error& error) {
    return failed(windows.size(), error.what_without_backtrace());
  } catch (const std::exception& error) {
    return failed(windows.size(), error.what());
  }
  return restored;
}

void TorchDevice::forward_all(const Loaded& loaded, const NetworkInfo& info, cv::Size tensor, std::span<const Window> windows,
                              std::span<cv::Mat> restored) const {
  if (!kind_.device.is_cpu() || windows.size() == 1) {
    forward(*loaded.network, info, tensor, windows, restored);
    return;
  }
  // One tile per thread beats one big batch over all threads: its activations stay nearer to the cache, nothing waits at
  // barriers.
  at::parallel_for(0, static_cast<std::int64_t>(windows.size()), 1, [&](std::int64_t begin, std::int64_t end) {
    for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
      forward(*loaded.network, info, tensor, windows.subspan(i, 1), restored.subspan(i, 1));
    }
  });
}

void TorchDevice::forward(const TorchNetwork& network, const NetworkInfo& info, cv::Size tensor, std::span<const Window> windows,
                          std::span<cv::Mat> restored) const {
  const c10::InferenceMode inference;
  at::Tensor output;
  {
    const at::Tensor input = to_tensor(info, tensor, windows, kind_.device.is_cuda());
    output = network.forward(input.to(kind_.device)).to(at::kCPU).contiguous();
  }
  to_pictures(info, output, windows, restored);
}

Result<Footprint> TorchDevice::measure(const NetworkInfo& network, cv::Size tensor, int batch) {
  cv::Mat colour(tensor, CV_8UC(network.channels));
  cv::RNG(1).fill(colour, cv::RNG::UNIFORM, 64, 192);
  Window window{colour, {}};
  if (network.companion == Companion::kDepth) window.companion = cv::Mat(tensor, CV_16UC1, cv::Scalar(2000));
  if (network.companion == Companion::kRightView) window.companion = colour;
  const std::vector<Window> windows(static_cast<std::size_t>(batch), window);

  const bool is_cpu = kind_.device.is_cpu();
  TensorCache& cache = TensorCache::instance();
  const std::size_t before = is_cpu ? cache.begin_peak() : 0;
  if (!is_cpu) at::accelerator::resetPeakStats(kind_.device.index());
  const auto start = std::chrono::steady_clock::now();
  auto restored = restore(network, tensor, windows);
  if (!restored) return restored.error();
  Footprint footprint{{}, std::chrono::steady_clock::now() - start};
  if (is_cpu) {
    footprint.peak = Bytes{cache.peak() - before};
    cache.trim();
  } else {
    const auto stats = at::accelerator::getDeviceStats(kind_.device.index()).allocated_bytes.at(0);
    footprint.peak = Bytes{static_cast<std::uint64_t>(stats.peak)};
  }
  return footprint;
}

std::optional<Bytes> TorchDevice::memory() const {
  if (kind_.device.is_cpu()) return std::nullopt;
  return Bytes{at::accelerator::getMemoryInfo(kind_.device.index()).first};
}

}  // namespace retouchd::inference
