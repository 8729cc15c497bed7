#pragma once

#include <map>
#include <memory>
#include <string>

#include "inference/device.h"
#include "inference/torch_network.h"

namespace retouchd::inference {

/// A CPU or CUDA device through LibTorch, in fp32.
class TorchDevice final : public Device {
 public:
  TorchDevice(const at::Device& device, std::string description, int default_batch);
  ~TorchDevice() override;

  [[nodiscard]] std::string name() const override;
  [[nodiscard]] std::string description() const override { return description_; }
  [[nodiscard]] int default_batch() const override { return default_batch_; }
  [[nodiscard]] Result<void> load(const NetworkInfo& network) override;
  [[nodiscard]] Result<std::vector<cv::Mat>> restore(const NetworkInfo& network, int side,
                                                     std::span<const cv::Mat> windows) override;

 private:
  /// One forward pass over `windows`; throws what LibTorch throws. Several CPU threads may be in here at once.
  void forward(const TorchNetwork& network, int scale, int side, std::span<const cv::Mat> windows,
               std::span<cv::Mat> restored) const;

  const at::Device device_;
  const std::string description_;
  const int default_batch_;
  std::map<std::string, std::unique_ptr<TorchNetwork>> networks_;
};

}  // namespace retouchd::inference
