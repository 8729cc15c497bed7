#include "inference/networks/rgbd_tiny.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <string>
#include <vector>

#include "inference/networks/depth_fill.h"
#include "inference/networks/gated_block.h"
#include "inference/networks/layers.h"

namespace retouchd::inference {
namespace {

constexpr double kNearest = 0.05;       // metres: what is nearer counts as this
constexpr double kFarthest = 65.535;    // metres: what a 16-bit picture in mm can hold
constexpr double kContrast = 50.0;      // where asinh turns from linear to logarithmic
constexpr double kSmallestStep = 0.01;  // per metre
constexpr std::int64_t kSeen = 4;       // channels made of depth: filled, valid, distance to near and to far

/// Lets into the depth branch as much of the colour branch as both agree on.
class Fusion {
 public:
  Fusion(WeightReader& weights, const std::string& name, std::int64_t channels)
      : gate_(take_pointwise(weights, name + ".gate", 2 * channels, channels)) {}

  at::Tensor operator()(const at::Tensor& colour, const at::Tensor& depth) const {
    at::Tensor share = gate_(at::cat({colour, depth}, -1));
    return at::addcmul(depth, at::sigmoid_(share), colour);
  }

 private:
  Pointwise gate_;
};

class RgbdTiny final : public TorchNetwork {
 public:
  explicit RgbdTiny(WeightReader& weights) : RgbdTiny(weights, width_of(weights)) {}

  at::Tensor forward(const at::Tensor& input) const override {
    const at::Tensor colour = input.narrow(3, 0, 3);
    const at::Tensor depth = to_nchw(input.narrow(3, 3, 1)).contiguous();
    const at::Tensor is_valid = depth > 0;
    const at::Tensor valid = is_valid.to(depth.scalar_type());
    const at::Tensor inverse = at::where(is_valid, at::reciprocal(depth.clamp_min(kNearest)), at::zeros_like(depth));
    const FilledDepth filled = fill_depth(inverse, valid);
    const Surroundings around = surroundings_of(inverse, valid, filled.inverse);
    const at::Tensor above = around.near - filled.inverse;
    const at::Tensor below = filled.inverse - around.far;

    const at::Tensor seen = at::cat({filled.inverse, valid, at::asinh(above * kContrast), at::asinh(below * kContrast)}, 1);
    const auto mixed = to_nchw(mix(colour, to_nhwc(seen))).split(1, 1);
    const auto shares = at::softmax(at::cat({at::zeros_like(mixed[1]), mixed[1], mixed[2]}, 1), 1).split(1, 1);
    const at::Tensor result = filled.inverse + shares[1] * above - shares[2] * below + mixed[0] * (above + below + kSmallestStep);
    return to_nhwc(filled.reached / result.clamp(1 / kFarthest, 1 / kNearest));
  }

 private:
  static std::int64_t width_of(const WeightReader& weights) {
    const auto shape = weights.shape_of("depth_intro.weight");
    if (shape.size() != 4 || shape[0] < 1 || shape[0] > 1024)
      throw BadWeights("tensor `depth_intro.weight` has no sensible shape");
    return shape[0];
  }

  RgbdTiny(WeightReader& weights, std::int64_t width)
      : colour_intro_(take_convolution(weights, "colour_intro", {12, width})),
        colour1_(weights, "colour1", width),
        colour_down1_(take_convolution(weights, "colour_down1", {width, 2 * width, 2, 2})),
        colour2_(weights, "colour2", 2 * width),
        colour_down2_(take_convolution(weights, "colour_down2", {2 * width, 4 * width, 2, 2})),
        colour3_(weights, "colour3", 4 * width),
        depth_intro_(take_convolution(weights, "depth_intro", {4 * kSeen, width})),
        fuse1_(weights, "fuse1", width),
        encoder1_(take_gated_blocks(weights, "encoder1", width)),
        down1_(take_convolution(weights, "down1", {width, 2 * width, 2, 2})),
        fuse2_(weights, "fuse2", 2 * width),
        encoder2_(take_gated_blocks(weights, "encoder2", 2 * width)),
        down2_(take_convolution(weights, "down2", {2 * width, 4 * width, 2, 2})),
        fuse3_(weights, "fuse3", 4 * width),
        middle_(take_gated_blocks(weights, "middle", 4 * width)),
        up2_(take_pointwise(weights, "up2", 4 * width, 8 * width, false)),
        decoder2_(take_gated_blocks(weights, "decoder2", 2 * width, static_cast<int>(encoder2_.size()))),
        up1_(take_pointwise(weights, "up1", 2 * width, 4 * width, false)),
        decoder1_(take_gated_blocks(weights, "decoder1", width, static_cast<int>(encoder1_.size()))),
        ending_(take_convolution(weights, "ending", {width, 12})) {
    for (Pointwise* layer : {&up1_, &up2_}) order_for_spreading(*layer, 2);
    order_for_spreading(ending_, 2);
  }

  /// [N, H, W, 3]: the correction, and the logits of `near` and `far` (that of the filled value is 0).
  at::Tensor mix(const at::Tensor& colour, const at::Tensor& seen) const {
    const at::Tensor colour1 = colour1_(colour_intro_(pixel_unshuffle(colour, 2)));
    const at::Tensor colour2 = colour2_(colour_down1_(colour1));
    const at::Tensor colour3 = colour3_(colour_down2_(colour2));
    const at::Tensor first = run(encoder1_, fuse1_(colour1, depth_intro_(pixel_unshuffle(seen, 2))));
    const at::Tensor second = run(encoder2_, fuse2_(colour2, down1_(first)));
    at::Tensor x = run(middle_, fuse3_(colour3, down2_(second)));
    x = run(decoder2_, spread_pixels(up2_(x), 2, second));
    x = run(decoder1_, spread_pixels(up1_(x), 2, first));
    return spread_pixels(ending_(x), 2);
  }

  Convolution colour_intro_;
  GatedBlock colour1_;
  Convolution colour_down1_;
  GatedBlock colour2_;
  Convolution colour_down2_;
  GatedBlock colour3_;
  Convolution depth_intro_;
  Fusion fuse1_;
  std::vector<GatedBlock> encoder1_;
  Convolution down1_;
  Fusion fuse2_;
  std::vector<GatedBlock> encoder2_;
  Convolution down2_;
  Fusion fuse3_;
  std::vector<GatedBlock> middle_;
  Pointwise up2_;
  std::vector<GatedBlock> decoder2_;
  Pointwise up1_;
  std::vector<GatedBlock> decoder1_;
  Convolution ending_;
};

}  // namespace

std::unique_ptr<TorchNetwork> make_rgbd_tiny(WeightReader& weights) { return std::make_unique<RgbdTiny>(weights); }

}  // namespace retouchd::inference
