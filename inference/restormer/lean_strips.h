#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

namespace retouchd::inference {

/// A part of a map's rows, from top to bottom, that one thread works on strip by strip.
struct Band {
  std::int64_t index = 0;
  std::int64_t begin = 0;  ///< rows
  std::int64_t end = 0;
  at::Tensor above;  ///< copy of the row above, [N, 1, W, C], as it was before any band changed the map; undefined at the border
  at::Tensor below;
};

/// Cuts a map [N, H, W, C] into a band for each thread that may help: one when this is called by a thread of a parallel region
/// or for a device other than the CPU. Bands begin at multiples of `alignment`.
[[nodiscard]] std::vector<Band> bands_of(const at::Tensor& map, std::int64_t alignment = 1);

/// Runs `work` on all bands at once and waits.
void for_each_band(const std::vector<Band>& bands, const std::function<void(const Band&)>& work);

/// Rows of a strip so that it has about `strip_pixels` pixels and, on a CPU, its widest activation (of `channels`) stays in the
/// cache; a multiple of `alignment`, at least one.
[[nodiscard]] std::int64_t strip_rows(const at::Tensor& map, std::int64_t strip_pixels, std::int64_t channels,
                                      std::int64_t alignment = 1);

}  // namespace retouchd::inference
