#include "inference/restormer/lean_attention.h"

namespace retouchd::inference {

std::unique_ptr<LeanAttention> make_lean_attention(const RestormerBlock& block, const LeanNumbers& numbers,
                                                   std::int64_t strip_pixels) {
  if (block.position_bias.defined()) return make_lean_spatial_attention(block, numbers, strip_pixels);
  return make_lean_channel_attention(block, numbers, strip_pixels);
}

}  // namespace retouchd::inference
