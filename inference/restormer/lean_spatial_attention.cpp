// Attention between the 64 pixels of 8x8 windows: strips are whole rows of windows, so each is done in one go and nothing but x
// is ever stored whole.
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include "inference/restormer/lean_attention.h"
#include "inference/restormer/lean_expansion.h"
#include "inference/restormer/lean_strips.h"
#include "inference/restormer/strip_operations.h"

namespace retouchd::inference {
namespace {

constexpr std::int64_t kSide = kSpatialWindow;

/// The temperature is a factor of q, and the convolution before q is linear.
Convolution with_temperature(const RestormerBlock& block) {
  const std::int64_t channels = block.attention_out.weight.size(0);
  const std::int64_t heads = block.temperature.size(0);
  const at::Tensor factors =
      at::cat({block.temperature.repeat_interleave(channels / heads), at::ones({2 * channels}, block.temperature.options())});
  Convolution result = block.qkv_depthwise;
  result.weight = result.weight * factors.view({-1, 1, 1, 1});
  if (result.bias.defined()) result.bias = result.bias * factors;
  return result;
}

class SpatialAttention final : public LeanAttention {
 public:
  SpatialAttention(const RestormerBlock& block, const LeanNumbers& numbers, std::int64_t strip_pixels)
      : expand_(block.norm1, block.qkv, numbers, numbers.int8),
        depthwise_(with_temperature(block), numbers.body),
        project_(block.attention_out, numbers.body, false),
        position_bias_(block.position_bias.unsqueeze(0).to(numbers.body)),
        heads_(block.temperature.size(0)),
        channels_(block.attention_out.weight.size(0)),
        body_(numbers.body),
        strip_pixels_(strip_pixels) {}

  void add_to(at::Tensor& x, std::optional<std::int64_t>) const override {
    const std::int64_t rows = strip_rows(x, strip_pixels_, expand_.channels(), kSide);
    for_each_band(bands_of(x, kSide), [&](const Band& band) {
      expand_.walk(x, band, rows, [&](std::int64_t begin, std::int64_t end, const at::Tensor& strip) {
        const at::Tensor qkv = at::empty({x.size(0), end - begin, x.size(2), 3 * channels_}, strip.options());
        depthwise(strip, depthwise_, 0, qkv);
        project_.add_to(attend(qkv), x.narrow(1, begin, end - begin));
      });
    });
  }

 private:
  /// [N, rows, W, 3C] -> [N, rows, W, C].
  at::Tensor attend(const at::Tensor& qkv) const {
    const std::int64_t rows = qkv.size(1) / kSide;
    const std::int64_t columns = qkv.size(2) / kSide;
    const std::int64_t width = channels_ / heads_;
    // [3, windows, heads, 64, C / heads]
    const at::Tensor parts = qkv.view({qkv.size(0), rows, kSide, columns, kSide, 3, heads_, width})
                                 .permute({5, 0, 1, 3, 6, 2, 4, 7})
                                 .reshape({3, -1, heads_, kSide * kSide, width});
    return at::scaled_dot_product_attention(parts[0], parts[1], parts[2], position_bias_)
        .view({qkv.size(0), rows, columns, heads_, kSide, kSide, width})
        .permute({0, 1, 4, 2, 5, 3, 6})
        .reshape({qkv.size(0), qkv.size(1), qkv.size(2), channels_});
  }

  LeanExpansion expand_;
  DepthwiseWeights depthwise_;
  LeanPointwise project_;
  at::Tensor position_bias_;  ///< [1, heads, 64, 64]
  std::int64_t heads_;
  std::int64_t channels_;
  at::ScalarType body_;
  std::int64_t strip_pixels_;
};

}  // namespace

std::unique_ptr<LeanAttention> make_lean_spatial_attention(const RestormerBlock& block, const LeanNumbers& numbers,
                                                           std::int64_t strip_pixels) {
  return std::make_unique<SpatialAttention>(block, numbers, strip_pixels);
}

}  // namespace retouchd::inference
