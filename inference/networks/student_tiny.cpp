#include "inference/networks/student_tiny.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <string>
#include <utility>
#include <vector>

#include "inference/networks/gated_block.h"
#include "inference/networks/kernel_call.h"
#include "inference/networks/layers.h"

namespace retouchd::inference {
namespace {

class StudentTiny final : public TorchNetwork {
 public:
  StudentTiny(WeightReader& weights, const ForwardOptions& options)
      : StudentTiny(weights, width_of(weights), options.optimize ? options.body() : at::kFloat,
                    options.optimize ? options.edges() : at::kFloat, options.kernels) {}

  at::Tensor forward(const at::Tensor& pictures) const override {
    if (kernels_ != nullptr) use_device(*kernels_, pictures.device());
    const at::Tensor first = run(encoder1_, intro_(pixel_unshuffle(pictures, 2).to(edges_)).to(body_));
    const at::Tensor second = run(encoder2_, down1_(first));
    at::Tensor x = run(middle_, down2_(second));
    x = run(decoder2_, spread_pixels(up2_(x), 2, second));
    x = run(decoder1_, spread_pixels(up1_(x), 2, first));
    return spread_pixels(ending_(x.to(edges_)), 2, pictures);
  }

 private:
  static std::int64_t width_of(const WeightReader& weights) {
    const auto shape = weights.shape_of("intro.weight");
    if (shape.size() != 4 || shape[0] < 1 || shape[0] > 1024) throw BadWeights("tensor `intro.weight` has no sensible shape");
    return shape[0];
  }

  StudentTiny(WeightReader& weights, std::int64_t width, at::ScalarType body, at::ScalarType edges,
              const kernels::KernelSet* kernels)
      : kernels_(kernels),
        body_(body),
        edges_(edges),
        intro_(take_convolution(weights, "intro", {12, width})),
        encoder1_(take_gated_blocks(weights, "encoder1", width)),
        down1_(take_convolution(weights, "down1", {width, 2 * width, 2, 2})),
        encoder2_(take_gated_blocks(weights, "encoder2", 2 * width)),
        down2_(take_convolution(weights, "down2", {2 * width, 4 * width, 2, 2})),
        middle_(take_gated_blocks(weights, "middle", 4 * width)),
        up2_(take_pointwise(weights, "up2", 4 * width, 8 * width, false)),
        decoder2_(take_gated_blocks(weights, "decoder2", 2 * width, static_cast<int>(encoder2_.size()))),
        up1_(take_pointwise(weights, "up1", 2 * width, 4 * width, false)),
        decoder1_(take_gated_blocks(weights, "decoder1", width, static_cast<int>(encoder1_.size()))),
        ending_(take_convolution(weights, "ending", {width, 12})) {
    for (Pointwise* layer : {&up1_, &up2_}) order_for_spreading(*layer, 2);
    order_for_spreading(ending_, 2);
    for (Convolution* layer : {&intro_, &ending_}) layer->to(edges);
    for (Convolution* layer : {&down1_, &down2_}) layer->to(body);
    for (Pointwise* layer : {&up1_, &up2_}) layer->to(body);
    for (auto* blocks : {&encoder1_, &encoder2_, &middle_, &decoder2_, &decoder1_}) {
      for (GatedBlock& block : *blocks) block.prepare(body, kernels);
    }
  }

  const kernels::KernelSet* kernels_;
  at::ScalarType body_;
  at::ScalarType edges_;
  Convolution intro_;
  std::vector<GatedBlock> encoder1_;
  Convolution down1_;
  std::vector<GatedBlock> encoder2_;
  Convolution down2_;
  std::vector<GatedBlock> middle_;
  Pointwise up2_;
  std::vector<GatedBlock> decoder2_;
  Pointwise up1_;
  std::vector<GatedBlock> decoder1_;
  Convolution ending_;
};

}  // namespace

std::unique_ptr<TorchNetwork> make_student_tiny(WeightReader& weights, const ForwardOptions& options) {
  return std::make_unique<StudentTiny>(weights, options);
}

}  // namespace retouchd::inference
