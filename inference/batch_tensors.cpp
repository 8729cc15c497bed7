#include "inference/batch_tensors.h"

#include <ATen/Functions.h>

#include "inference/full_scale.h"

namespace retouchd::inference {
namespace {

/// The windows' own numbers in [0, 1]: [windows, height, width, channels]. `items`: their places.
at::Tensor numbers_of(const BatchLayout::OutputRun& run, at::Tensor items, float factor) {
  if (run.places > 1)  // each colour went on its own: [windows * colours, H, W, 1]
    items = items.view({run.windows, run.places, items.size(1), items.size(2)}).permute({0, 2, 3, 1});
  at::Tensor numbers = items.narrow(1, 0, run.own.height).narrow(2, 0, run.own.width);
  if (run.is_mean) {
    const auto channel = [&](std::int64_t index) { return numbers.narrow(3, index, 1); };
    numbers = at::add(channel(0), channel(1)).add_(channel(2)).mul_(kThird);
  }
  return factor == 1.0F ? numbers : at::mul(numbers, factor);
}

/// Clamped and rounded as ResultRows do it: no number becomes 0, halves go up.
at::Tensor pixels_of(const at::Tensor& numbers, int depth) {
  if (depth == CV_32F) return numbers.contiguous();
  const at::Tensor scaled = at::nan_to_num(numbers, 0.0).clamp_(0, 1).mul_(full_scale(depth)).add_(0.5);
  if (depth == CV_8U) return scaled.to(at::kByte, false, false, at::MemoryFormat::Contiguous);
  // From 32 bits the lower 16 are taken; from fp32 what does not fit a kShort is undefined.
  return scaled.to(at::kInt).to(at::kShort, false, false, at::MemoryFormat::Contiguous);
}

}  // namespace

at::Tensor widen(const at::Tensor& packed, const BatchLayout& layout) {
  if (packed.scalar_type() == at::kFloat) return packed;
  const bool is_wide = packed.scalar_type() == at::kShort;
  at::Tensor input = is_wide ? at::remainder(packed, 65536.0) : at::empty(packed.sizes(), packed.options().dtype(at::kFloat));
  const at::Tensor& numbers = is_wide ? input : packed;
  const auto multiply = [&](std::int64_t place, std::int64_t places, std::int64_t channel, std::int64_t channels, double factor) {
    at::Tensor to = input.narrow(0, place, places).narrow(3, channel, channels);
    at::mul_out(to, numbers.narrow(0, place, places).narrow(3, channel, channels), at::scalar_tensor(factor, at::kFloat));
  };
  const std::int64_t channels = packed.size(3);
  std::int64_t place = 0;
  for (const BatchLayout::InputRun& run : layout.inputs) {
    if (run.colour == run.companion) {
      multiply(place, run.places, 0, channels, run.colour);
    } else {
      multiply(place, run.places, 0, layout.colour_channels, run.colour);
      multiply(place, run.places, layout.colour_channels, channels - layout.colour_channels, run.companion);
    }
    place += run.places;
  }
  return input;
}

std::vector<at::Tensor> narrow(const at::Tensor& output, const BatchLayout& layout) {
  std::vector<at::Tensor> results;
  std::vector<at::Tensor> extremes;
  const at::Tensor all = output.contiguous();
  std::int64_t place = 0;
  for (const BatchLayout::OutputRun& run : layout.outputs) {
    const std::int64_t places = run.windows * run.places;
    const at::Tensor numbers = numbers_of(run, all.narrow(0, place, places), layout.output_factor);
    // NaN goes through both of them, so that they tell whether all numbers are finite.
    extremes.push_back(at::stack({at::amin(numbers, {1, 2, 3}), at::amax(numbers, {1, 2, 3})}, 1));
    results.push_back(pixels_of(numbers, run.depth));
    place += places;
  }
  results.push_back(extremes.size() == 1 ? extremes.front() : at::cat(extremes));
  return results;
}

}  // namespace retouchd::inference
