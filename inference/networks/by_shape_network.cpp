#include "inference/networks/by_shape_network.h"

#include <ATen/Functions.h>
#include <c10/util/Exception.h>

#include <atomic>
#include <utility>

namespace retouchd::inference {
namespace {

class ByShapeNetwork final : public TorchNetwork {
 public:
  ByShapeNetwork(std::unique_ptr<TorchNetwork> otherwise, std::vector<ShapedNetwork> shaped,
                 std::function<void(const std::string&)> warn)
      : otherwise_(std::move(otherwise)), shaped_(std::move(shaped)), failed_(shaped_.size()), warn_(std::move(warn)) {}

  at::Tensor forward(const at::Tensor& input) const override {
    for (std::size_t i = 0; i < shaped_.size(); ++i) {
      const ShapedNetwork& one = shaped_[i];
      if (one.height != input.size(1) || one.width != input.size(2) || failed_[i]) continue;
      std::string reason;
      try {
        return in_parts(one, input);
      } catch (const c10::Error& error) {
        reason = error.what_without_backtrace();
      } catch (const std::exception& error) {
        reason = error.what();
      }
      // Where memory or the device is the reason, this throws, too, and whoever called knows what to do about it.
      at::Tensor output = otherwise_->forward(input);
      if (!failed_[i].exchange(true)) warn_(one.name + " failed and is not used any more: " + reason);
      return output;
    }
    return otherwise_->forward(input);
  }

  const TorchNetwork& for_any_shape() const override { return *otherwise_; }
  bool may_be_recorded() const override { return false; }

 private:
  static at::Tensor in_parts(const ShapedNetwork& one, const at::Tensor& input) {
    if (input.size(0) <= one.batch) return one.network->forward(input);
    std::vector<at::Tensor> outputs;
    for (const at::Tensor& part : input.split(one.batch)) outputs.push_back(one.network->forward(part));
    return at::cat(outputs);
  }

  const std::unique_ptr<TorchNetwork> otherwise_;
  const std::vector<ShapedNetwork> shaped_;
  mutable std::vector<std::atomic<bool>> failed_;
  const std::function<void(const std::string&)> warn_;
};

}  // namespace

std::unique_ptr<TorchNetwork> make_by_shape(std::unique_ptr<TorchNetwork> otherwise, std::vector<ShapedNetwork> shaped,
                                            std::function<void(const std::string& warning)> warn) {
  return std::make_unique<ByShapeNetwork>(std::move(otherwise), std::move(shaped), std::move(warn));
}

}  // namespace retouchd::inference
