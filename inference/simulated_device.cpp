#include "inference/simulated_device.h"

#include <sys/prctl.h>

#include <algorithm>
#include <exception>
#include <limits>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>
#include <thread>
#include <utility>

#include "inference/computing_scope.h"
#include "inference/full_scale.h"
#include "inference/identity.h"
#include "inference/pixel_pool.h"

namespace retouchd::inference {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kUnit = 512.0 * 512.0;  ///< pixels

Clock::duration ticks(Simulation::Seconds seconds) { return std::chrono::duration_cast<Clock::duration>(seconds); }

void wait_until(Clock::time_point moment) {
  constexpr std::chrono::microseconds kSpin{20};
  if (Clock::now() + kSpin < moment) {
    // The kernel may wake a thread this much later (50 us as a rule) to save power.
    const int slack = ::prctl(PR_GET_TIMERSLACK);
    ::prctl(PR_SET_TIMERSLACK, 1UL);
    std::this_thread::sleep_until(moment - kSpin);
    if (slack > 0) ::prctl(PR_SET_TIMERSLACK, static_cast<unsigned long>(slack));
  }
  while (Clock::now() < moment) continue;
}

/// In [0, 1), the same on every machine.
double chance(std::uint64_t seed, std::uint64_t number) {
  std::uint64_t x = seed * 0xD1B54A32D192ED03ULL + (number + 1) * 0x9E3779B97F4A7C15ULL;  // splitmix64
  x = (x ^ (x >> 30U)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27U)) * 0x94D049BB133111EBULL;
  return static_cast<double>((x ^ (x >> 31U)) >> 11U) * 0x1.0p-53;
}

void look_at(const cv::Mat& pixels, Values& values) {
  double least = 0;
  double most = 0;
  cv::minMaxIdx(pixels.reshape(1), &least, &most);
  const double unit = 1.0 / full_scale(pixels.depth());
  values.least = static_cast<float>(least * unit);
  values.most = static_cast<float>(most * unit);
}

Values values_of(const cv::Mat& pixels) {
  constexpr int kEvery = 16;
  Values values;
  const cv::Mat some((pixels.rows + kEvery - 1) / kEvery, pixels.cols, pixels.type(), pixels.data, pixels.step[0] * kEvery);
  look_at(some, values);
  if (values.least == values.most) look_at(pixels, values);  // must not be taken for one colour when it is not
  return values;
}

Restored identity(const NetworkInfo& network, const Window& window) {
  const cv::Mat& from = network.companion == Companion::kDepth ? window.companion : window.colour;
  cv::Mat sized = from;
  if (network.scale != 1) {
    sized = PixelPool::instance().picture(from.size() * network.scale, from.type());
    cv::resize(from, sized, sized.size(), 0, 0, cv::INTER_NEAREST);
  }
  Restored restored;
  restored.pixels = PixelPool::instance().picture(sized.size(), CV_MAKETYPE(window.depth, sized.channels()));
  sized.convertTo(restored.pixels, window.depth, full_scale(window.depth) / full_scale(sized.depth()));
  restored.values = values_of(restored.pixels);
  return restored;
}

void spoil(Restored& restored, Fault::Kind fault) {
  const double full = full_scale(restored.pixels.depth());
  if (fault == Fault::Kind::kNotFinite) {
    restored.values.is_finite = false;
    restored.pixels.setTo(restored.pixels.depth() == CV_32F ? std::numeric_limits<double>::quiet_NaN() : 0.0);
  } else if (fault == Fault::Kind::kConstant) {
    restored.values = {true, 0.5F, 0.5F};
    restored.pixels.setTo(cv::Scalar::all(0.5 * full));
  } else {
    restored.values = {true, -8.0F, 9.0F};
    restored.pixels.setTo(cv::Scalar::all(restored.pixels.depth() == CV_32F ? 9.0 : full));
  }
}

double pixels_of(cv::Size tensor, std::size_t windows) {
  return static_cast<double>(tensor.width) * tensor.height * static_cast<double>(windows);
}

}  // namespace

SimulatedDevice::SimulatedDevice(std::string name, Simulation simulation, const DeviceOptions& options)
    : name_(std::move(name)), simulation_(std::move(simulation)), wanted_(options.precision), optimize_(options.optimize) {}

std::string SimulatedDevice::description() const {
  return "simulated device, " + std::to_string(static_cast<int>(simulation_.rate)) + " tiles/s, " + to_string(simulation_.memory);
}

PrecisionChoice SimulatedDevice::precision_for(const NetworkInfo& network) const {
  DeviceTraits traits;
  traits.name = name_;
  traits.tf32 = traits.fp16 = traits.bf16 = traits.int8 = true;
  return choose_precision(network, traits, wanted_, optimize_);
}

Error SimulatedDevice::failed(ErrorCode code, std::size_t windows, const std::string& reason) const {
  return make_error(code, name_ + " failed on a batch of " + std::to_string(windows) + ": " + reason);
}

Result<void> SimulatedDevice::load(const NetworkInfo& network) {
  std::error_code ignored;
  if (!is_identity(network) && !std::filesystem::is_regular_file(network.weights, ignored))
    return make_error(ErrorCode::kBadWeights, network.weights.string() + " is not there");
  const std::lock_guard lock(mutex_);
  loaded_.insert(network.id());
  return {};
}

bool SimulatedDevice::befalls(const Fault& fault, std::uint64_t number) const {
  if (fault.at == 0) return chance(simulation_.seed + static_cast<std::uint64_t>(fault.kind), number) < fault.share;
  return number >= fault.at && number - fault.at < fault.count;
}

Result<SimulatedDevice::Tiles> SimulatedDevice::next_faults(std::size_t windows) {
  const std::lock_guard lock(mutex_);
  ++calls_;
  for (const Fault& fault : simulation_.faults) {
    if (fault.kind == Fault::Kind::kLost && befalls(fault, calls_))
      return failed(ErrorCode::kDeviceFailed, windows, "the device was lost (simulated)");
    if (fault.kind == Fault::Kind::kOutOfMemory && befalls(fault, calls_))
      return failed(ErrorCode::kOutOfDeviceMemory, windows, "out of memory (simulated)");
  }
  Tiles tiles(windows);
  for (auto& tile : tiles) {
    ++tiles_;
    for (const Fault& fault : simulation_.faults) {
      if (fault.kind != Fault::Kind::kLost && fault.kind != Fault::Kind::kOutOfMemory && befalls(fault, tiles_))
        tile = fault.kind;
    }
  }
  return tiles;
}

Result<void> SimulatedDevice::fits(cv::Size tensor, std::size_t windows) const {
  const Bytes wanted{static_cast<std::uint64_t>(simulation_.bytes_per_pixel * pixels_of(tensor, windows))};
  if (wanted <= simulation_.memory) return {};
  return failed(ErrorCode::kOutOfDeviceMemory, windows,
                to_string(wanted) + " do not fit into " + to_string(simulation_.memory) + " (simulated)");
}

SimulatedDevice::Time SimulatedDevice::compute(Time uploaded, cv::Size tensor, std::size_t windows,
                                               const RestoreOptions& options) {
  wait_until(uploaded);
  const ComputeTurn::Guard turn(computing_, options.urgent);
  const ComputingScope scope(options.computing);
  Time end;
  {
    const std::lock_guard lock(mutex_);
    end = std::max(uploaded, busy_until_) + ticks(simulation_.computing(pixels_of(tensor, windows) / kUnit));
    busy_until_ = end;
  }
  wait_until(end);
  return end;
}

Result<std::vector<Restored>> SimulatedDevice::restore(const NetworkInfo& network, cv::Size tensor,
                                                       std::span<const Window> windows, const RestoreOptions& options) {
  const Time begin = Clock::now();
  {
    const std::lock_guard lock(mutex_);
    if (!loaded_.contains(network.id()))
      return make_error(ErrorCode::kInternal, "network " + network.name + " was not loaded on " + name_);
  }
  Tiles faults(windows.size());
  if (!options.plain) {
    auto next = next_faults(windows.size());
    if (!next) return next.error();
    faults = *std::move(next);
  }
  if (auto fitting = fits(tensor, windows.size()); !fitting) return fitting.error();
  std::vector<Restored> restored;
  restored.reserve(windows.size());
  try {
    for (std::size_t i = 0; i < windows.size(); ++i) {
      restored.push_back(identity(network, windows[i]));
      if (faults[i]) spoil(restored.back(), *faults[i]);
    }
  } catch (const std::exception& error) {
    return failed(ErrorCode::kDeviceFailed, windows.size(), error.what());
  }
  const Time uploaded = std::max(begin + ticks(simulation_.copy), Clock::now());
  const Time computed = compute(uploaded, tensor, windows.size(), options);
  wait_until(computed + ticks(simulation_.copy));
  return restored;
}

Result<Footprint> SimulatedDevice::measure(const NetworkInfo&, cv::Size tensor, int batch) {
  const auto windows = static_cast<std::size_t>(batch);
  {
    const std::lock_guard lock(mutex_);
    for (const Fault& fault : simulation_.faults) {
      if (fault.kind == Fault::Kind::kLost && befalls(fault, calls_ + 1)) {
        ++calls_;
        return failed(ErrorCode::kDeviceFailed, windows, "the device was lost (simulated)");
      }
    }
  }
  if (auto fitting = fits(tensor, windows); !fitting) return fitting.error();
  const double pixels = pixels_of(tensor, windows);
  return Footprint{Bytes{static_cast<std::uint64_t>(simulation_.bytes_per_pixel * pixels)},
                   2 * simulation_.copy + simulation_.computing(pixels / kUnit)};
}

void SimulatedDevice::give_back_memory() { PixelPool::instance().blocks().trim(); }

}  // namespace retouchd::inference
