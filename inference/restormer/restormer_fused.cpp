#include "inference/restormer/restormer_fused.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <array>
#include <tuple>
#include <utility>
#include <vector>

#include "inference/networks/kernel_call.h"
#include "inference/restormer/fused_operations.h"
#include "inference/restormer/restormer_rewrites.h"

namespace retouchd::inference {
namespace {

constexpr std::int64_t kHiddenMultiple = 32;
constexpr std::int64_t kHeadWidth = 48;
constexpr std::int64_t kWideHead = 96;

bool has_kernels(std::int64_t width, std::int64_t heads) {
  if (width != 48 && width != 96 && width != 192 && width != 384) return false;
  return width == heads * kHeadWidth || (width == kWideHead && heads == 1);
}

at::Tensor fp32(const at::Tensor& x) { return x.defined() ? x.to(at::kFloat).contiguous() : at::Tensor(); }

/// Signed bytes with a scale for each row, in `columns` columns.
std::pair<at::Tensor, at::Tensor> to_bytes(const at::Tensor& weight, std::int64_t columns) {
  const at::Tensor scale = weight.abs().amax(1).div(127).clamp_min(1e-12);
  const at::Tensor units = weight.div(scale.unsqueeze(1)).round().to(at::kChar);
  return {at::constant_pad_nd(units, {0, columns - weight.size(1)}).contiguous(), scale.contiguous()};
}

class Block {
 public:
  Block(const RestormerBlock& block, const FusedOperations& operations, bool bytes) {
    const at::ScalarType body = operations.body();
    const auto norm_of = [](const RestormerBlock::Norm& norm) {
      return norm.bias.defined() ? kernels::Norm::kCentred : kernels::Norm::kUncentred;
    };
    const Pointwise qkv = folded(block.norm1, block.qkv);
    attention_ = {norm_of(block.norm1),    qkv.weight.to(body).contiguous(),
                  fp32(qkv.bias),          taps_of(block.qkv_depthwise.weight, body),
                  fp32(block.temperature), fp32(block.attention_out.weight)};
    const RestormerBlock wide = with_hidden_padded(block, kHiddenMultiple);
    const Pointwise expand = folded(wide.norm2, wide.expand);
    feed_forward_.norm = norm_of(wide.norm2);
    if (bytes) {
      std::tie(feed_forward_.expand, feed_forward_.scale) =
          to_bytes(expand.weight, operations.bytes_depth(expand.weight.size(1)));
    } else {
      feed_forward_.expand = expand.weight.to(body).contiguous();
    }
    feed_forward_.bias = fp32(expand.bias);
    feed_forward_.depthwise = taps_of(wide.expand_depthwise.weight, body);
    feed_forward_.contract = wide.contract.weight.to(body).contiguous();
  }

  [[nodiscard]] at::Tensor operator()(const at::Tensor& x, const FusedOperations& operations) const {
    operations.attend(attention_, x);
    return operations.feed_forward(feed_forward_, x);
  }

 private:
  FusedOperations::Attention attention_;
  FusedOperations::FeedForward feed_forward_;
};

class FusedRestormer final : public TorchNetwork {
 public:
  FusedRestormer(const RestormerWeights& weights, const RestormerConfig& config, const ForwardOptions& options)
      : body_(options.precision == Precision::kMixed ? at::kHalf : options.body()),
        edges_(options.edges()),
        operations_(*options.kernels, body_),
        dual_pixel_(config.dual_pixel),
        patch_embed_(weights.patch_embed),
        downs_(weights.downs),
        ups_(weights.ups),
        skip_(weights.skip.weight),
        output_(weights.output) {
    operations_.use(options.device);
    const auto blocks = [&](const std::vector<RestormerBlock>& from) {
      std::vector<Block> to;
      to.reserve(from.size());
      for (const RestormerBlock& block : from) to.emplace_back(block, operations_, options.precision == Precision::kInt8);
      return to;
    };
    for (std::size_t i = 0; i < encoders_.size(); ++i) encoders_[i] = blocks(weights.encoders[i]);
    for (std::size_t i = 0; i < decoders_.size(); ++i) decoders_[i] = blocks(weights.decoders[i]);
    refinement_ = blocks(weights.refinement);
    patch_embed_.to(edges_);
    output_.to(edges_);
    for (std::size_t i = 0; i < downs_.size(); ++i) {
      downs_[i].to(body_);
      ups_[i].to(body_);
    }
    for (std::size_t i = 1; i < reductions_.size(); ++i) {
      const auto halves = weights.reductions[i].weight.chunk(2, 1);
      reductions_[i] = {halves[0].to(body_).contiguous(), halves[1].to(body_).contiguous()};
    }
    if (dual_pixel_) skip_ = skip_.to(edges_);
  }

  at::Tensor forward(const at::Tensor& input) const override {
    operations_.use(input.device());
    at::Tensor first = run(encoders_[0], embed(input).to(body_));
    at::Tensor second = run(encoders_[1], down(0, first));
    at::Tensor third = run(encoders_[2], down(1, second));
    at::Tensor x = run(encoders_[3], down(2, third));
    x = run(decoders_[2], reduced(2, up(2, x), std::exchange(third, {})));
    x = run(decoders_[1], reduced(1, up(1, x), std::exchange(second, {})));
    x = run(decoders_[0], at::cat({up(0, x), std::exchange(first, {})}, -1));
    x = run(refinement_, std::move(x));
    x = x.to(edges_);
    if (dual_pixel_) x = x + at::linear(embed(input), skip_);
    const at::Tensor output = output_(x).to(at::kFloat);
    return dual_pixel_ ? output : output + input;
  }

 private:
  [[nodiscard]] at::Tensor embed(const at::Tensor& input) const { return patch_embed_(input.to(edges_)); }

  [[nodiscard]] at::Tensor run(const std::vector<Block>& blocks, at::Tensor x) const {
    for (const Block& block : blocks) x = block(x, operations_);
    return x;
  }

  [[nodiscard]] at::Tensor down(std::size_t level, const at::Tensor& x) const { return pixel_unshuffle(downs_[level](x), 2); }
  [[nodiscard]] at::Tensor up(std::size_t level, const at::Tensor& x) const { return pixel_shuffle(ups_[level](x), 2); }

  /// 1x1 convolution of two maps as if they were one behind the other.
  [[nodiscard]] at::Tensor reduced(std::size_t level, const at::Tensor& from_below, const at::Tensor& skip) const {
    const auto& [first, second] = reductions_[level];
    at::Tensor x = operations_.pointwise(from_below, first, {}, kernels::Norm::kNone);
    operations_.add_pointwise(skip, second, x);
    return x;
  }

  at::ScalarType body_;
  at::ScalarType edges_;
  FusedOperations operations_;
  bool dual_pixel_;
  Convolution patch_embed_;
  std::array<Convolution, 3> downs_, ups_;
  std::array<std::vector<Block>, 4> encoders_;
  std::array<std::vector<Block>, 3> decoders_;
  std::vector<Block> refinement_;
  std::array<std::pair<at::Tensor, at::Tensor>, 3> reductions_;
  at::Tensor skip_;
  Convolution output_;
};

}  // namespace

std::string fused_obstacle(const RestormerConfig& config, std::optional<int> local_window, Precision precision) {
  if (config.spatial_windows) return "attention within 8x8 windows has no kernels";
  if (local_window) return "attention in local windows has no kernels";
  if (config.bias) return "convolutions with biases have no kernels";
  for (int level = 0; level < 4; ++level) {
    if (!has_kernels(config.width(level), config.heads[static_cast<std::size_t>(level)]))
      return "the kernels are made for 48, 96, 192 and 384 channels with heads of 48";
  }
  if (!has_kernels(config.width(1), config.heads[0])) return "the kernels are made for heads of 48 or 96 channels";
  if (precision == Precision::kFp32 || precision == Precision::kTf32) return "the kernels compute with 16-bit numbers";
  return {};
}

std::unique_ptr<TorchNetwork> make_fused_restormer(const RestormerWeights& weights, const RestormerConfig& config,
                                                   const ForwardOptions& options) {
  return std::make_unique<FusedRestormer>(weights, config, options);
}

}  // namespace retouchd::inference
