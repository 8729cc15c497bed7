#pragma once

#include <opencv2/core/mat.hpp>

namespace retouchd::image {

/// Where the planes of a decoded picture lie. A decoder asks for each plane once, colour before alpha, and writes it there; what
/// it needs besides is its own. Confined to one decode.
class PlaneMemory {
 public:
  virtual ~PlaneMemory() = default;

  /// A plane without gaps between its rows, contents undefined. Throws std::bad_alloc.
  [[nodiscard]] virtual cv::Mat make(cv::Size size, int type) = 0;
  /// False: `plane` lies elsewhere and must be copied before it counts as decoded.
  [[nodiscard]] virtual bool owns(const cv::Mat& plane) const noexcept = 0;
};

/// Ordinary memory.
class HeapPlanes final : public PlaneMemory {
 public:
  [[nodiscard]] cv::Mat make(cv::Size size, int type) override { return {size, type}; }
  [[nodiscard]] bool owns(const cv::Mat& /*plane*/) const noexcept override { return true; }
};

}  // namespace retouchd::image
