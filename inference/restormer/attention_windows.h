#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace retouchd::inference {

/// A rectangle of a map whose pixels share one attention.
struct AttentionWindow {
  std::int64_t top = 0;
  std::int64_t left = 0;
  std::int64_t height = 0;
  std::int64_t width = 0;

  [[nodiscard]] std::int64_t bottom() const noexcept { return top + height; }
  [[nodiscard]] std::int64_t right() const noexcept { return left + width; }
};

/// The windows of the test-time local converter (Chu et al., ECCV 2022): squares of `side`, no larger than the map,
/// ceil(height / side) x ceil(width / side) of them on equal strides; the last ones are flush with the border. They overlap
/// where they must, and what they say about a pixel is averaged. One window over the whole map when there is no `side`.
/// Row by row, from the top.
[[nodiscard]] std::vector<AttentionWindow> attention_windows(std::int64_t height, std::int64_t width,
                                                             std::optional<std::int64_t> side);

}  // namespace retouchd::inference
