#include "inference/restormer/restormer_lean.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <utility>

#include "inference/restormer/lean_attention.h"
#include "inference/restormer/lean_feed_forward.h"

namespace retouchd::inference {
namespace {

LeanNumbers numbers_for(const ForwardOptions& options) { return {options.body(), options.precision == Precision::kInt8}; }

class Block {
 public:
  Block(const RestormerBlock& block, const LeanNumbers& numbers, std::int64_t strip_pixels)
      : attention_(make_lean_attention(block, numbers, strip_pixels)), feed_forward_(block, numbers, strip_pixels) {}

  void run(at::Tensor& x, std::optional<std::int64_t> side) const {
    attention_->add_to(x, side);
    feed_forward_.add_to(x);
  }

 private:
  std::unique_ptr<LeanAttention> attention_;
  LeanFeedForward feed_forward_;
};

class LeanRestormer final : public TorchNetwork {
 public:
  LeanRestormer(const RestormerWeights& weights, const RestormerConfig& config, const ForwardOptions& options,
                std::optional<int> local_window)
      : numbers_(numbers_for(options)),
        edges_(options.edges()),
        dual_pixel_(config.dual_pixel),
        local_window_(local_window),
        patch_embed_(weights.patch_embed),
        downs_(weights.downs),
        ups_(weights.ups),
        output_(weights.output) {
    const auto blocks = [&](const std::vector<RestormerBlock>& from) {
      std::vector<Block> to;
      for (const RestormerBlock& block : from) to.emplace_back(block, numbers_, options.strip_pixels);
      return to;
    };
    for (std::size_t i = 0; i < encoders_.size(); ++i) encoders_[i] = blocks(weights.encoders[i]);
    for (std::size_t i = 0; i < decoders_.size(); ++i) decoders_[i] = blocks(weights.decoders[i]);
    refinement_ = blocks(weights.refinement);
    patch_embed_.to(edges_);
    output_.to(edges_);
    for (std::size_t i = 0; i < downs_.size(); ++i) {
      downs_[i].to(numbers_.body);
      ups_[i].to(numbers_.body);
    }
    for (std::size_t i = 1; i < reductions_.size(); ++i) reductions_[i] = Reduction(weights.reductions[i], numbers_.body);
    if (dual_pixel_) skip_ = LeanPointwise(weights.skip, edges_, false);
  }

  at::Tensor forward(const at::Tensor& input) const override {
    if (!input.is_cpu() || input.size(0) == 1) return forward_together(input);
    std::vector<at::Tensor> outputs;
    for (const at::Tensor& picture : input.split(1)) outputs.push_back(forward_together(picture));
    return at::cat(outputs);
  }

 private:
  /// 1x1 convolution of two maps as if they were one behind the other.
  struct Reduction {
    Reduction() = default;
    Reduction(const Pointwise& fp32, at::ScalarType body) {
      const std::int64_t half = fp32.weight.size(1) / 2;
      first = LeanPointwise({fp32.weight.narrow(1, 0, half), fp32.bias}, body, false);
      second = LeanPointwise({fp32.weight.narrow(1, half, half), {}}, body, false);
    }
    LeanPointwise first, second;
  };

  at::Tensor forward_together(const at::Tensor& input) const {
    at::Tensor first = embed(input);
    run(encoders_[0], first, 0);
    at::Tensor second = down(0, first);
    run(encoders_[1], second, 1);
    at::Tensor third = down(1, second);
    run(encoders_[2], third, 2);
    at::Tensor x = down(2, third);
    run(encoders_[3], x, 3);
    x = reduced(2, up(2, std::move(x)), std::exchange(third, {}));
    run(decoders_[2], x, 2);
    x = reduced(1, up(1, std::move(x)), std::exchange(second, {}));
    run(decoders_[1], x, 1);
    x = joined(up(0, std::move(x)), std::exchange(first, {}));
    run(decoders_[0], x, 0);
    run(refinement_, x, 0);
    if (dual_pixel_) skip_.add_to(patch_embed_(input.to(edges_)), x);
    at::Tensor output = output_(x.to(edges_)).to(at::kFloat);
    return dual_pixel_ ? output : output.add_(input);
  }

  at::Tensor embed(const at::Tensor& input) const { return patch_embed_(input.to(edges_)).to(at::kFloat); }

  void run(const std::vector<Block>& blocks, at::Tensor& x, int level) const {
    std::optional<std::int64_t> side;
    if (local_window_) side = std::max<std::int64_t>(1, *local_window_ >> level);
    for (const Block& block : blocks) block.run(x, side);
  }

  at::Tensor down(std::size_t level, const at::Tensor& x) const {
    return pixel_unshuffle(downs_[level](x.to(numbers_.body)), 2).to(at::kFloat);
  }

  /// In the body's type.
  at::Tensor up(std::size_t level, at::Tensor x) const {
    x = x.to(numbers_.body);
    x = ups_[level](x);
    return pixel_shuffle(x, 2);
  }

  at::Tensor reduced(std::size_t level, at::Tensor from_below, at::Tensor skip) const {
    const Reduction& reduction = reductions_[level];
    at::Tensor x = at::empty(skip.sizes(), skip.options());
    x.zero_();
    reduction.first.add_to(from_below, x);
    from_below.reset();
    reduction.second.add_to(skip.to(numbers_.body), x);
    return x;
  }

  at::Tensor joined(const at::Tensor& from_below, const at::Tensor& skip) const {
    return at::cat({from_below.to(at::kFloat), skip}, -1);
  }

  LeanNumbers numbers_;
  at::ScalarType edges_;
  bool dual_pixel_;
  std::optional<int> local_window_;
  Convolution patch_embed_;
  std::array<Convolution, 3> downs_, ups_;
  std::array<std::vector<Block>, 4> encoders_;
  std::array<std::vector<Block>, 3> decoders_;
  std::vector<Block> refinement_;
  std::array<Reduction, 3> reductions_;
  LeanPointwise skip_;
  Convolution output_;
};

}  // namespace

std::unique_ptr<TorchNetwork> make_lean_restormer(const RestormerWeights& weights, const RestormerConfig& config,
                                                  const ForwardOptions& options, std::optional<int> local_window) {
  return std::make_unique<LeanRestormer>(weights, config, options, local_window);
}

}  // namespace retouchd::inference
