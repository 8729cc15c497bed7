#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "inference/backend_choice.h"
#include "inference/cpu_lanes.h"
#include "inference/device.h"
#include "inference/device_streams.h"
#include "inference/graph_cache.h"
#include "inference/networks/torch_network.h"
#include "inference/precision_choice.h"

namespace retouchd::inference {

/// A device through LibTorch.
class TorchDevice final : public Device {
 public:
  struct Kind {
    at::Device device = at::kCPU;
    std::string description;
    int default_batch = 1;
    int threads = 1;  ///< of a CPU
    DeviceTraits traits;
    std::int64_t strip_pixels = 16384;  ///< see ForwardOptions

    [[nodiscard]] bool is_cpu() const { return device.is_cpu(); }
  };

  TorchDevice(Kind kind, const DeviceOptions& options);
  ~TorchDevice() override;

  [[nodiscard]] std::string name() const override { return kind_.traits.name; }
  [[nodiscard]] std::string description() const override { return kind_.description; }
  [[nodiscard]] int default_batch() const override { return kind_.default_batch; }
  [[nodiscard]] int concurrency() const override { return kind_.is_cpu() ? kind_.threads : 2; }
  [[nodiscard]] int compute_lanes() const override { return kind_.is_cpu() ? kind_.threads : 1; }
  [[nodiscard]] bool computes_together() const override { return !kind_.is_cpu(); }
  [[nodiscard]] Result<void> load(const NetworkInfo& network) override;
  [[nodiscard]] PrecisionChoice precision_for(const NetworkInfo& network) const override {
    return choose_precision(network, kind_.traits, wanted_, optimize_);
  }
  [[nodiscard]] BackendChoice backend_for(const NetworkInfo& network) const override;
  [[nodiscard]] Result<std::vector<Restored>> restore(const NetworkInfo& network, cv::Size tensor,
                                                      std::span<const Window> windows,
                                                      const RestoreOptions& options = {}) override;
  /// One call alone: on a CPU with all threads, which is the most that one call takes.
  [[nodiscard]] Result<Footprint> measure(const NetworkInfo& network, cv::Size tensor, int batch) override;
  [[nodiscard]] std::optional<Bytes> memory() const override;
  void give_back_memory() override;

 private:
  struct Loaded {
    std::unique_ptr<TorchNetwork> network;
    Precision precision = Precision::kFp32;
    std::unique_ptr<TorchNetwork> plain;  ///< built when it is first asked for
    std::uint64_t order = 0;              ///< the lowest of a name goes first
  };

  /// All throw what LibTorch throws.
  [[nodiscard]] Result<const TorchNetwork*> plain_of(Loaded& loaded, const NetworkInfo& info);
  void restore_by_one(const TorchNetwork& network, const NetworkInfo& info, cv::Size tensor, std::span<const Window> windows,
                      const RestoreOptions& options, std::span<Restored> restored);
  void restore_together(const TorchNetwork& network, Precision precision, const NetworkInfo& info, cv::Size tensor,
                        std::span<const Window> windows, const RestoreOptions& options, std::span<Restored> restored);
  [[nodiscard]] Error failed(ErrorCode code, std::size_t windows, const std::string& reason) const;
  [[nodiscard]] Error out_of_memory(std::size_t windows, cv::Size tensor);
  /// Notes what tensors have of a GPU while nobody computes, and returns it.
  std::int64_t count_at_rest();
  [[nodiscard]] Result<void> has_not_changed(const NetworkInfo& network) const;
  /// Keeps two versions of each name: the new one, and the one that pictures under way began with.
  void forget_old_versions(const std::string& name);

  const Kind kind_;
  const std::optional<Precision> wanted_;
  const bool optimize_;
  const BackendRequest backend_;
  CpuLanes lanes_;
  DeviceStreams streams_;
  std::map<std::string, Loaded> networks_;        ///< by NetworkInfo::id(); changed by load() only
  std::mutex plain_;                              // guards Loaded::plain
  mutable std::mutex choices_lock_;               // guards choices_
  std::map<std::string, BackendChoice> choices_;  ///< by NetworkInfo::id()
  std::uint64_t loads_ = 0;
  std::atomic<std::int64_t> at_rest_ = 0;  ///< bytes of weights on a GPU
  std::unique_ptr<GraphCache> graphs_;     ///< null: none are wanted, or there are none. In the turn of streams_
  bool measuring_ = false;                 ///< by measure(), when nobody else is inside
};

/// The device that `options` name first. kDeviceFailed when it is not there; kBadConfig when it is a simulated one.
[[nodiscard]] Result<TorchDevice::Kind> find_device(const DeviceOptions& options);

}  // namespace retouchd::inference
