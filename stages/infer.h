#pragma once

#include <memory>
#include <opencv2/core/mat.hpp>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "queue/tile_scheduler.h"
#include "stages/device_gate.h"
#include "stages/observer.h"
#include "stages/tiled_pass.h"

namespace retouchd::stages {

/// What goes from `infer` to `merge`.
struct RestoredTile {
  std::shared_ptr<TiledPass> pass;
  int index = 0;
  cv::Mat pixels;  ///< CV_32F, window times scale
};

[[nodiscard]] inline Bytes bytes_of(const RestoredTile& tile) noexcept { return {tile.pixels.total() * tile.pixels.elemSize()}; }

/// A batch of tiles of any pictures -> restored tiles. Confined to its device's thread.
class Infer {
 public:
  static constexpr std::string_view kName = "infer";

  /// `capacity`: tiles in a full batch, for the metrics.
  Infer(DeviceGate& gate, std::size_t capacity, PipelineObserver& observer)
      : gate_(gate), capacity_(capacity), observer_(observer) {}

  /// On failure every picture in the batch was told.
  [[nodiscard]] Result<std::vector<RestoredTile>> process(queue::Batch batch);

 private:
  DeviceGate& gate_;
  const std::size_t capacity_;
  PipelineObserver& observer_;
};

}  // namespace retouchd::stages
