#include "inference/drct/drct_upsampler.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <utility>

namespace retouchd::inference {
namespace {

// Rows of the input that the result of a row depends on, above and below: one for the first 3x3 convolution, half a one for the
// second, a quarter for the third, and so on, rounded up to whole rows.
constexpr std::int64_t kHalo = 2;
// So that the halo stays a small part of the work.
constexpr std::int64_t kLeastRows = 8;

}  // namespace

DrctUpsampler::DrctUpsampler(DrctWeights& weights, const DrctConfig& config, const ForwardOptions& options)
    : scale_(config.scale),
      enlargement_(config.enlargement()),
      strip_pixels_(options.strip_pixels),
      convolutions_(std::move(weights.upsample)),
      last_(std::move(weights.last)),
      mean_(drct_mean(options.device)) {
  for (Convolution& convolution : convolutions_) {
    order_for_spreading(convolution, enlargement_);
    convolution.to(options.edges());
  }
  last_.to(options.edges());
}

at::Tensor DrctUpsampler::operator()(const at::Tensor& features) const {
  const auto height = features.size(1);
  const auto width = features.size(2);
  const at::Tensor result =
      at::empty({features.size(0), height * scale_, width * scale_, 3}, features.options().dtype(at::kFloat));
  const auto rows = std::max(kLeastRows, strip_pixels_ / (features.size(0) * width * scale_ * scale_));
  const auto strips = (height + rows - 1) / rows;
  for (std::int64_t i = 0; i < strips; ++i) {
    const auto begin = i * height / strips;
    const auto end = (i + 1) * height / strips;
    const auto top = std::max<std::int64_t>(0, begin - kHalo);
    const auto bottom = std::min(height, end + kHalo);
    const at::Tensor strip = enlarge(features.narrow(1, top, bottom - top).contiguous());
    auto part = result.narrow(1, begin * scale_, (end - begin) * scale_);
    at::add_out(part, strip.narrow(1, (begin - top) * scale_, (end - begin) * scale_), mean_);
  }
  return result;
}

at::Tensor DrctUpsampler::enlarge(at::Tensor x) const {
  for (const Convolution& convolution : convolutions_) {
    x = convolution(x);
    x = spread_pixels(x, enlargement_);
  }
  return last_(x);
}

}  // namespace retouchd::inference
