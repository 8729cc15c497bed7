#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <opencv2/core/mat.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "inference/backend.h"
#include "inference/network_info.h"
#include "inference/precision_choice.h"

namespace retouchd::inference {

/// What a network sees of a picture, and what is wanted back.
struct Window {
  cv::Mat colour;      ///< CV_8U, CV_16U or CV_32F with 1 or 3 channels (RGB); floats about 0..1, finite
  cv::Mat companion;   ///< of the same size, where the network wants one: CV_16UC1 millimetres of depth, or the other view
  int depth = CV_32F;  ///< of the result: CV_8U or CV_16U (clamped to [0, 1] and rounded to full scale), or CV_32F as computed
};

/// The numbers of a result as they were computed, before rounding.
struct Values {
  bool is_finite = true;
  float least = 0;
  float most = 0;
};

/// A window restored.
struct Restored {
  cv::Mat pixels;  ///< of the wanted depth, the colour's channels, the window's size times the network's scale
  Values values;
};

/// How one call of restore() is to be done.
struct RestoreOptions {
  bool plain = false;   ///< operation by operation in fp32, whatever was chosen for the network
  bool urgent = false;  ///< computes before other calls that wait for that
  /// Called with true when the computing begins and with false when it ended (also when it failed), from the calling thread:
  /// what lies outside is copying and waiting for another call's computing. May be empty.
  std::function<void(bool begins)> computing;
};

/// What one call of restore() took, its results included.
struct Footprint {
  Bytes peak;  ///< tensors at the worst moment, without the weights
  std::chrono::duration<double> time{0};
};

/// Something that runs networks over batches of tiles: a CPU, a GPU, a server with such.
/// Threads: restore() from up to concurrency() threads at once, and from one more when it is urgent; load(), measure() and
/// give_back_memory() while nobody else is inside; the rest from any thread.
class Device {
 public:
  virtual ~Device() = default;

  [[nodiscard]] virtual std::string name() const = 0;         ///< "cpu", "cuda:0": a label for metrics
  [[nodiscard]] virtual std::string description() const = 0;  ///< for people: "CPU, 2 threads"
  [[nodiscard]] virtual int default_batch() const = 0;        ///< tiles of 512x512 that suit one call

  /// Calls of restore() at once that keep the device busy. On a GPU two: one computes while the other one copies. On a CPU one a
  /// core: each computes on its own.
  [[nodiscard]] virtual int concurrency() const = 0;
  /// How many of them compute at the same time: 1 on a GPU, concurrency() on a CPU.
  [[nodiscard]] virtual int compute_lanes() const = 0;
  /// True: the windows of a call go through the network in one pass, whose memory grows with them. False: one after the other.
  [[nodiscard]] virtual bool computes_together() const = 0;

  /// Loads weights (again a no-op), chooses the precision, and compares a small picture with the plain fp32 path. A second
  /// version of a network leaves the first one loaded, a third one drops it. kBadWeights names file, tensor and reason;
  /// kDeviceFailed when that precision's result is too far from fp32.
  [[nodiscard]] virtual Result<void> load(const NetworkInfo& network) = 0;

  /// How it computes a network, loaded or not. From any thread.
  [[nodiscard]] virtual PrecisionChoice precision_for(const NetworkInfo& network) const = 0;

  /// Who computes a network: found out by load(), empty reason before that. From any thread.
  [[nodiscard]] virtual BackendChoice backend_for(const NetworkInfo& /*network*/) const { return {}; }

  /// Restores one batch. Windows are at most as large as `tensor`; smaller ones are padded at the right and bottom by reflection.
  /// All tensors have the shape [windows, tensor.height, tensor.width, channels] with colours in [0, 1].
  /// For a depth network the result is one channel of millimetres / 65535. The network must have been loaded.
  /// kOutOfDeviceMemory when the batch did not fit (a smaller one may); kDeviceFailed on any other error of the library below.
  [[nodiscard]] virtual Result<std::vector<Restored>> restore(const NetworkInfo& network, cv::Size tensor,
                                                              std::span<const Window> windows,
                                                              const RestoreOptions& options = {}) = 0;

  /// Runs a batch of noise and says what it took.
  [[nodiscard]] virtual Result<Footprint> measure(const NetworkInfo& network, cv::Size tensor, int batch) = 0;

  /// Memory that tensors can have at most; nullopt where that is the process's own budget (CPU).
  [[nodiscard]] virtual std::optional<Bytes> memory() const = 0;

  /// Gives back what is kept for the next batch. Weights stay.
  virtual void give_back_memory() = 0;
};

struct DeviceOptions {
  /// "auto" (all CUDA devices, else Metal, else the CPU), "cpu", "cuda" (all of them), "cuda:1", "mps", "simulated",
  /// "http://host:port" of a model server; several separated by commas: "cuda:0,cuda:2". The same twice only for simulated ones.
  std::string devices = "auto";
  int threads = 0;                                    ///< of the CPU device; 0: one per core this process may use
  std::optional<Precision> precision = std::nullopt;  ///< nullopt: what suits device and network
  bool optimize = true;                               ///< false: the plain path in fp32
  /// Results do not depend on what else is computed at the same time, bit for bit: each CPU tile has one thread.
  bool deterministic = false;
  /// How simulated devices behave (simulation.h): "rate=500 batch_gain=4 copy=0.2ms memory=8GiB fault=oom@3".
  std::string simulation = {};
  /// Forward passes that recur on a CUDA device are recorded and replayed (graph_cache.h). Never measured yet, hence off.
  bool cuda_graphs = false;
  Backend backend = Backend::kAuto;     ///< who computes the networks
  std::filesystem::path compiled = {};  ///< folder of the packages of `retouch compile`; empty: none
};

/// Opens the devices, at least one. kDeviceFailed when one is demanded that is not there, kBadConfig for names and simulations
/// that make no sense.
[[nodiscard]] Result<std::vector<std::unique_ptr<Device>>> open_devices(const DeviceOptions& options);

/// "2.11.0"
[[nodiscard]] std::string libtorch_version();

}  // namespace retouchd::inference
