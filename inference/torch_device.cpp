#include "inference/torch_device.h"

#include <ATen/DeviceAccelerator.h>
#include <ATen/Functions.h>
#include <ATen/core/CachingHostAllocator.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <array>
#include <exception>
#include <new>
#include <opencv2/core.hpp>
#include <string_view>

#include "base/file.h"
#include "inference/batch_tensors.h"
#include "inference/comparison.h"
#include "inference/computing_scope.h"
#include "inference/cuda_settings.h"
#include "inference/device_log.h"
#include "inference/identity.h"
#include "inference/load_log.h"
#include "inference/open_graphs.h"
#include "inference/package_check.h"
#include "inference/pixel_pool.h"
#include "inference/tensor_cache.h"
#include "inference/tensor_pictures.h"

namespace retouchd::inference {
namespace {

constexpr std::array<std::string_view, 4> kMemoryWords{"out of memory", "ALLOC_FAILED", "can't allocate memory",
                                                       "Insufficient memory"};

/// Compares `network` with the plain fp32 path on a small picture. Throws what LibTorch throws.
Result<void> check_against_plain(const NetworkInfo& info, const TorchNetwork& network, const ForwardOptions& options) {
  const auto check = compare_with_plain(info, network, options, {validation_side(info), validation_side(info)});
  if (!check) return check.error();
  if (check->passed) return {};
  return make_error(ErrorCode::kDeviceFailed, "network " + info.name + " in " + std::string(name_of(options.precision)) + " on " +
                                                  options.device.str() + " is refused: " + refusal_of(*check).message +
                                                  "; set `precision: fp32`");
}

/// Libraries below LibTorch (cuBLAS, cuDNN, OpenCV) have no exception of their own for it.
bool speaks_of_memory(const std::exception& error) {
  const std::string_view text(error.what());
  return std::any_of(kMemoryWords.begin(), kMemoryWords.end(),
                     [text](std::string_view word) { return text.find(word) != std::string_view::npos; });
}

/// Not every back end has such a cache.
void empty_device_cache() {
  try {
    at::accelerator::emptyCache();
  } catch (const std::exception&) {
    return;
  }
}

}  // namespace

TorchDevice::TorchDevice(Kind kind, const DeviceOptions& options)
    : kind_(std::move(kind)),
      wanted_(options.precision),
      optimize_(options.optimize),
      backend_{options.backend, options.compiled, kind_.default_batch, options.deterministic},
      lanes_(kind_.threads, options.deterministic),
      streams_(kind_.device) {
  if (!options.cuda_graphs || !kind_.device.is_cuda()) return;
  auto backend = open_graphs(kind_.device);
  if (backend) {
    graphs_ = std::make_unique<GraphCache>(kind_.traits.name, *std::move(backend));
  } else {
    warn_of_device(kind_.traits.name + " computes without CUDA graphs: " + backend.error().message);
  }
}

TorchDevice::~TorchDevice() = default;

Error TorchDevice::failed(ErrorCode code, std::size_t windows, const std::string& reason) const {
  return make_error(code, name() + " failed on a batch of " + std::to_string(windows) + ": " + reason);
}

Error TorchDevice::out_of_memory(std::size_t windows, cv::Size tensor) {
  if (!kind_.is_cpu()) {
    streams_.alone([this] {
      if (graphs_ && graphs_->held() > Bytes{0}) graphs_->give_up("its memory ran out");
      // What lies unused in LibTorch's own cache is in pieces of other sizes; the smaller batch that comes next may want them
      // whole.
      empty_device_cache();
    });
  }
  return failed(
      ErrorCode::kOutOfDeviceMemory, windows,
      "tensors of " + std::to_string(tensor.width) + "x" + std::to_string(tensor.height) + " do not fit into its memory");
}

Result<void> TorchDevice::has_not_changed(const NetworkInfo& network) const {
  if (is_identity(network)) return {};
  const auto digest = sha256_hex_of_file(network.weights);
  if (!digest) return make_error(ErrorCode::kBadWeights, digest.error().message);
  if (*digest == network.sha256) return {};
  return make_error(ErrorCode::kBadWeights,
                    network.weights.string() + " changed since it was listed; reload the daemon (SIGHUP)");
}

Result<void> TorchDevice::load(const NetworkInfo& network) {
  if (networks_.contains(network.id())) return {};
  if (auto same = has_not_changed(network); !same) return same;
  const PrecisionChoice choice = precision_for(network);
  // On a GPU calls follow each other without waiting, so that one is issued while another one computes.
  ForwardOptions options{kind_.device, choice.precision, optimize_, kind_.strip_pixels};
  options.calls = concurrency();
  BackendChoice backend;
  try {
    const c10::InferenceMode inference;
    const CpuLanes::Share share(lanes_);
    auto built = load_torch_network(network, options);
    if (!built) return built.error();
    if (auto checked = check_against_plain(network, **built, options); !checked) return checked;
    Chosen chosen = choose_backend(network, std::move(*built), options, backend_);
    networks_[network.id()] = {std::move(chosen.network), choice.precision, nullptr, ++loads_};
    backend = std::move(chosen.choice);
  } catch (const c10::Error& error) {
    return make_error(ErrorCode::kDeviceFailed, name() + " cannot run " + network.name + ": " + error.what_without_backtrace());
  } catch (const std::exception& error) {
    return make_error(ErrorCode::kDeviceFailed, name() + " cannot run " + network.name + ": " + error.what());
  }
  TensorCache::instance().blocks().trim();
  // Blocks belong to a stream, and loading used another one than computing will.
  if (!kind_.is_cpu()) empty_device_cache();
  if (kind_.device.is_cuda()) count_at_rest();
  log_loaded(network, choice, backend);
  {
    const std::lock_guard lock(choices_lock_);
    choices_[network.id()] = std::move(backend);
  }
  forget_old_versions(network.name);
  return {};
}

BackendChoice TorchDevice::backend_for(const NetworkInfo& network) const {
  const std::lock_guard lock(choices_lock_);
  const auto found = choices_.find(network.id());
  return found == choices_.end() ? BackendChoice{} : found->second;
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
    {
      const std::lock_guard lock(choices_lock_);
      choices_.erase(oldest->first);
    }
    if (graphs_) graphs_->forget(oldest->first);
    networks_.erase(oldest);
  }
}

Result<const TorchNetwork*> TorchDevice::plain_of(Loaded& loaded, const NetworkInfo& info) {
  if (!optimize_) return loaded.network.get();
  const std::lock_guard lock(plain_);
  if (!loaded.plain) {
    if (auto same = has_not_changed(info); !same) return same.error();
    auto built = load_torch_network(info, {kind_.device, Precision::kFp32, false, kind_.strip_pixels});
    if (!built) return built.error();
    // Its weights were copied on another stream than the one that computes.
    if (!kind_.is_cpu()) streams_.alone([] {});
    loaded.plain = std::move(*built);
  }
  return loaded.plain.get();
}

Result<std::vector<Restored>> TorchDevice::restore(const NetworkInfo& network, cv::Size tensor, std::span<const Window> windows,
                                                   const RestoreOptions& options) {
  const auto found = networks_.find(network.id());
  if (found == networks_.end())
    return make_error(ErrorCode::kInternal, "network " + network.name + " was not loaded on " + name());
  std::vector<Restored> restored(windows.size());
  try {
    const c10::InferenceMode inference;
    const TorchNetwork* chosen = found->second.network.get();
    if (measuring_) chosen = &chosen->for_any_shape();
    if (options.plain) {
      const auto plain = plain_of(found->second, network);
      if (!plain) return plain.error();
      chosen = *plain;
    }
    if (kind_.is_cpu()) {
      restore_by_one(*chosen, network, tensor, windows, options, restored);
    } else {
      const Precision precision = options.plain ? Precision::kFp32 : found->second.precision;
      restore_together(*chosen, precision, network, tensor, windows, options, restored);
    }
  } catch (const c10::OutOfMemoryError&) {
    return out_of_memory(windows.size(), tensor);
  } catch (const std::bad_alloc&) {
    return out_of_memory(windows.size(), tensor);
  } catch (const c10::Error& error) {
    if (speaks_of_memory(error)) return out_of_memory(windows.size(), tensor);
    return failed(ErrorCode::kDeviceFailed, windows.size(), error.what_without_backtrace());
  } catch (const std::exception& error) {
    if (speaks_of_memory(error)) return out_of_memory(windows.size(), tensor);
    return failed(ErrorCode::kDeviceFailed, windows.size(), error.what());
  }
  return restored;
}

void TorchDevice::restore_by_one(const TorchNetwork& network, const NetworkInfo& info, cv::Size tensor,
                                 std::span<const Window> windows, const RestoreOptions& options, std::span<Restored> restored) {
  const ComputingScope scope(options.computing);
  const CpuLanes::Share share(lanes_);
  for (std::size_t i = 0; i < windows.size(); ++i) {
    at::Tensor output;
    {
      const at::Tensor input = to_tensor(info, tensor, windows.subspan(i, 1));
      output = network.forward(input);
    }
    to_pictures(info, output.contiguous(), windows.subspan(i, 1), restored.subspan(i, 1));
  }
}

void TorchDevice::restore_together(const TorchNetwork& network, Precision precision, const NetworkInfo& info, cv::Size tensor,
                                   std::span<const Window> windows, const RestoreOptions& options, std::span<Restored> restored) {
  const BatchLayout layout = lay_out(info, windows);
  const auto compute = [&](const at::Tensor& packed) {
    const auto forward = [&](const at::Tensor& pictures) {
      allow_tf32(precision);
      return network.forward(pictures);
    };
    const at::Tensor pictures = widen(packed, layout);
    // The plain path is taken once in a while, and holds more than all the others would.
    const bool may_recur = graphs_ && network.may_be_recorded() && !options.plain && !measuring_;
    return narrow(may_recur ? graphs_->run(info.id(), pictures, forward) : forward(pictures), layout);
  };
  const at::Tensor input = to_tensor(info, tensor, windows, layout.depth, streams_.pinned());
  to_pictures(layout, streams_.run(input, compute, options), restored);
}

Result<Footprint> TorchDevice::measure(const NetworkInfo& network, cv::Size tensor, int batch) {
  // A network of one channel restores the three of a colour picture.
  cv::Mat colour(tensor, CV_8UC(network.companion == Companion::kNone ? 3 : network.channels));
  cv::RNG(1).fill(colour, cv::RNG::UNIFORM, 64, 192);
  Window window;
  window.colour = colour;
  if (network.companion == Companion::kDepth) window.companion = cv::Mat(tensor, CV_16UC1, cv::Scalar(2000));
  if (network.companion == Companion::kRightView) window.companion = colour;
  const std::vector<Window> windows(static_cast<std::size_t>(batch), window);

  // A replay takes no memory of its own, and what is held for it would be missing here.
  measuring_ = true;
  const struct End {
    bool& measuring;
    ~End() { measuring = false; }
  } end{measuring_};
  if (graphs_) graphs_->release();
  // The first pass of a shape on a GPU also loads kernels and tries algorithms.
  if (!kind_.is_cpu()) {
    if (auto warmed_up = restore(network, tensor, windows); !warmed_up) return warmed_up.error();
  }
  KeptBlocks& cpu = TensorCache::instance().blocks();
  const std::size_t before = cpu.begin_peak();
  std::int64_t weights = 0;
  if (!kind_.is_cpu()) {
    at::accelerator::resetPeakStats(kind_.device.index());
    weights = count_at_rest();
  }
  const auto start = std::chrono::steady_clock::now();
  auto restored = restore(network, tensor, windows);
  if (!restored) return restored.error();
  Footprint footprint{{}, std::chrono::steady_clock::now() - start};
  if (kind_.is_cpu()) {
    footprint.peak = Bytes{cpu.peak() - before};
    cpu.trim();
  } else {
    const auto stats = at::accelerator::getDeviceStats(kind_.device.index()).allocated_bytes.at(0);
    footprint.peak = Bytes{static_cast<std::uint64_t>(stats.peak - weights)};
  }
  // Packages compute some shapes only, with more memory. Tiles are planned as if they were all like that.
  const double ratio = std::max(1.0, backend_for(network).memory);
  footprint.peak = Bytes{static_cast<std::uint64_t>(static_cast<double>(footprint.peak.value) * ratio)};
  return footprint;
}

std::optional<Bytes> TorchDevice::memory() const {
  if (kind_.is_cpu()) return std::nullopt;
  const std::size_t free = at::accelerator::getMemoryInfo(kind_.device.index()).first;
  if (!kind_.device.is_cuda()) return Bytes{free};
  // What LibTorch keeps for the next batch is not free, but tensors can have it; what recorded passes hold they cannot.
  const auto kept = at::accelerator::getDeviceStats(kind_.device.index()).reserved_bytes.at(0).current - at_rest_.load();
  const Bytes held = graphs_ ? graphs_->held() : Bytes{0};
  return Bytes{free} + Bytes{static_cast<std::uint64_t>(std::max<std::int64_t>(kept, 0))} - held;
}

void TorchDevice::give_back_memory() {
  TensorCache::instance().blocks().trim();
  PixelPool::instance().blocks().trim();
  if (graphs_) graphs_->release();
  if (!kind_.is_cpu()) empty_device_cache();
  if (kind_.device.is_cuda()) at::getHostAllocator(at::kCUDA)->empty_cache();
}

std::int64_t TorchDevice::count_at_rest() {
  if (!kind_.is_cpu()) at_rest_ = at::accelerator::getDeviceStats(kind_.device.index()).allocated_bytes.at(0).current;
  return at_rest_;
}

}  // namespace retouchd::inference
