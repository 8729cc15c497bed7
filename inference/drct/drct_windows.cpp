#include "inference/drct/drct_windows.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>

namespace retouchd::inference {

namespace {

/// [N, H, W, C] as [N, rows, columns, w, w, C]. A view.
at::Tensor by_window(const at::Tensor& map, std::int64_t window) {
  return map.view({map.size(0), map.size(1) / window, window, map.size(2) / window, window, map.size(3)})
      .permute({0, 1, 3, 2, 4, 5});
}

}  // namespace

at::Tensor cut_windows(const at::Tensor& map, std::int64_t window) {
  return by_window(map, window).reshape({-1, window * window, map.size(3)});
}

void cut_windows_into(const at::Tensor& windows, const at::Tensor& map, std::int64_t window) {
  const at::Tensor cut = by_window(map, window);
  windows.view(cut.sizes()).copy_(cut);
}

at::Tensor join_windows(const at::Tensor& windows, std::int64_t window, std::int64_t height, std::int64_t width) {
  return windows.view({-1, height / window, width / window, window, window, windows.size(2)})
      .permute({0, 1, 3, 2, 4, 5})
      .reshape({-1, height, width, windows.size(2)});
}

at::Tensor window_masks(std::int64_t window, std::int64_t shift) {
  const at::Tensor behind = at::arange(window, at::kLong).ge(window - shift);  // the seam of a window's row or column
  const at::Tensor rows = behind.unsqueeze(1).expand({window, window}).flatten();
  const at::Tensor columns = behind.unsqueeze(0).expand({window, window}).flatten();
  const at::Tensor apart_rows = rows.unsqueeze(1).ne(rows.unsqueeze(0));
  const at::Tensor apart_columns = columns.unsqueeze(1).ne(columns.unsqueeze(0));
  const at::Tensor apart =
      at::stack({at::zeros_like(apart_rows), apart_columns, apart_rows, apart_rows.logical_or(apart_columns)});
  return apart.to(at::kFloat).mul(-100);
}

std::vector<WindowRun> ShiftedWindows::runs(std::int64_t begin, std::int64_t end) const {
  std::vector<WindowRun> found;
  std::int64_t start = 0;
  for (std::size_t kind = 0; kind < kWindowKinds; ++kind) {
    const std::int64_t from = std::max(begin, start);
    const std::int64_t to = std::min(end, ends[kind]);
    if (from < to) found.push_back({kind, from - begin, to - begin});
    start = ends[kind];
  }
  return found;
}

ShiftedWindows shift_windows(std::int64_t batch, std::int64_t height, std::int64_t width, std::int64_t window, std::int64_t shift,
                             const at::Device& device) {
  // Numbers every pixel in the order of cut_windows(), makes a map of the numbers, and rolls and cuts that.
  const auto options = at::TensorOptions().dtype(at::kLong).device(device);
  const at::Tensor numbers = at::arange(batch * height * width, options).view({-1, window * window, 1});
  const at::Tensor map = at::roll(join_windows(numbers, window, height, width), {-shift, -shift}, {1, 2});
  const auto rows = height / window;
  const auto columns = width / window;
  const at::Tensor cut = cut_windows(map, window).view({batch, rows, columns, window * window});
  const auto above = cut.narrow(1, 0, rows - 1);
  const auto last = cut.narrow(1, rows - 1, 1);
  ShiftedWindows shifted;
  std::vector<at::Tensor> kinds;
  std::int64_t count = 0;
  for (const at::Tensor& kind : {above.narrow(2, 0, columns - 1), above.narrow(2, columns - 1, 1), last.narrow(2, 0, columns - 1),
                                 last.narrow(2, columns - 1, 1)}) {
    count += kind.size(0) * kind.size(1) * kind.size(2);
    shifted.ends[kinds.size()] = count;
    kinds.push_back(kind.reshape({-1, window * window}));
  }
  shifted.pixels = at::cat(kinds);
  return shifted;
}

}  // namespace retouchd::inference
