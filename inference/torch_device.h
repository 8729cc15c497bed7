#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "inference/device.h"
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
    int lanes = 1;
    DeviceTraits traits;
    std::int64_t strip_pixels = 16384;  ///< see ForwardOptions
  };

  TorchDevice(Kind kind, std::optional<Precision> wanted, bool optimize);
  ~TorchDevice() override;

  [[nodiscard]] std::string name() const override { return kind_.traits.name; }
  [[nodiscard]] std::string description() const override { return kind_.description; }
  [[nodiscard]] int default_batch() const override { return kind_.default_batch; }
  [[nodiscard]] int lanes() const override { return kind_.lanes; }
  [[nodiscard]] Result<void> load(const NetworkInfo& network) override;
  [[nodiscard]] PrecisionChoice precision_for(const NetworkInfo& network) const override {
    return choose_precision(network, kind_.traits, wanted_, optimize_);
  }
  [[nodiscard]] Result<std::vector<cv::Mat>> restore(const NetworkInfo& network, cv::Size tensor,
                                                     std::span<const Window> windows) override;
  [[nodiscard]] Result<Footprint> measure(const NetworkInfo& network, cv::Size tensor, int batch) override;
  [[nodiscard]] std::optional<Bytes> memory() const override;

 private:
  struct Loaded {
    std::unique_ptr<TorchNetwork> network;
    std::uint64_t order = 0;  ///< the lowest of a name goes first
  };

  /// One forward pass over `windows`; throws what LibTorch throws. Several CPU threads may be in here at once.
  void forward(const TorchNetwork& network, const NetworkInfo& info, cv::Size tensor, std::span<const Window> windows,
               std::span<cv::Mat> restored) const;
  void forward_all(const Loaded& loaded, const NetworkInfo& info, cv::Size tensor, std::span<const Window> windows,
                   std::span<cv::Mat> restored) const;
  [[nodiscard]] Error failed(std::size_t windows, const std::string& reason) const;
  /// Keeps two versions of each name: the new one, and the one that pictures under way began with.
  void forget_old_versions(const std::string& name);

  const Kind kind_;
  const std::optional<Precision> wanted_;
  const bool optimize_;
  std::map<std::string, Loaded> networks_;  ///< by NetworkInfo::id()
  std::uint64_t loads_ = 0;
};

/// The device that `options` ask for. kDeviceFailed when it is not there.
[[nodiscard]] Result<TorchDevice::Kind> find_device(const DeviceOptions& options);

}  // namespace retouchd::inference
