#pragma once

#include <opencv2/core/mat.hpp>

#include "inference/kept_blocks.h"

namespace retouchd::inference {

/// Memory for restored pixels that is used again (kept_blocks.h), whoever lets go of it. Threads: safe.
class PixelPool final : public cv::MatAllocator {
 public:
  /// The one of this process.
  static PixelPool& instance();

  /// Not initialised.
  [[nodiscard]] cv::Mat picture(cv::Size size, int type);

  [[nodiscard]] KeptBlocks& blocks() const noexcept { return blocks_; }

  cv::UMatData* allocate(int dims, const int* sizes, int type, void* data, std::size_t* step, cv::AccessFlag flags,
                         cv::UMatUsageFlags usage) const override;
  bool allocate(cv::UMatData* data, cv::AccessFlag flags, cv::UMatUsageFlags usage) const override;
  void deallocate(cv::UMatData* data) const override;

 private:
  PixelPool();

  mutable KeptBlocks blocks_;  // cv::MatAllocator's methods are const
};

}  // namespace retouchd::inference
