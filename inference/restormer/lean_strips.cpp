#include "inference/restormer/lean_strips.h"

#include <ATen/Functions.h>

#include <algorithm>

#include "inference/networks/side_by_side.h"

namespace retouchd::inference {
namespace {

/// Numbers of a strip's widest activation.
constexpr std::int64_t kCachedNumbers = 1 << 19;

}  // namespace

std::vector<Band> bands_of(const at::Tensor& map, std::int64_t alignment) {
  const std::int64_t rows = map.size(1);
  const std::int64_t units = (rows + alignment - 1) / alignment;
  const std::int64_t count = std::clamp<std::int64_t>(map.is_cpu() ? threads_side_by_side() : 1, 1, units);
  std::vector<Band> bands;
  for (std::int64_t i = 0; i < count; ++i) {
    Band band;
    band.index = i;
    band.begin = units * i / count * alignment;
    band.end = std::min(rows, units * (i + 1) / count * alignment);
    if (band.begin > 0) band.above = map.narrow(1, band.begin - 1, 1).clone();
    if (band.end < rows) band.below = map.narrow(1, band.end, 1).clone();
    bands.push_back(std::move(band));
  }
  return bands;
}

void for_each_band(const std::vector<Band>& bands, const std::function<void(const Band&)>& work) {
  run_side_by_side(static_cast<std::int64_t>(bands.size()), [&](std::int64_t i) { work(bands[static_cast<std::size_t>(i)]); });
}

std::int64_t strip_rows(const at::Tensor& map, std::int64_t strip_pixels, std::int64_t channels, std::int64_t alignment) {
  std::int64_t pixels = strip_pixels;
  if (map.is_cpu()) pixels = std::min(pixels, kCachedNumbers / channels);
  const std::int64_t rows = std::min(pixels / map.size(2), map.size(1));
  return std::max(rows / alignment, std::int64_t{1}) * alignment;
}

}  // namespace retouchd::inference
