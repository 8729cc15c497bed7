#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <opencv2/core/mat.hpp>
#include <vector>

#include "inference/network_info.h"
#include "queue/tile_scheduler.h"
#include "stages/device_pool.h"
#include "stages/observer.h"

namespace retouchd::bench {

/// The tiles of some pictures, to be run without and with the daemon's stages. Confined to one thread.
class TileLoop {
 public:
  TileLoop(stages::DevicePool& devices, const inference::NetworkInfo& network, int largest_tile,
           const std::vector<cv::Mat>& pictures);

  /// Seconds for all tiles in full batches of equal shapes, by as many threads as the device takes, and nothing else: results are
  /// thrown away.
  double run_bare();

  /// Seconds for the same pictures through scheduler, workers and merge; results are thrown away.
  double run_stages(stages::PipelineObserver& observer);

  [[nodiscard]] std::size_t tiles() const noexcept { return tiles_; }

 private:
  struct Batch {
    cv::Size tensor;
    std::vector<inference::Window> windows;
  };

  stages::DevicePool& devices_;
  const inference::NetworkInfo network_;
  const int largest_tile_;
  const std::vector<cv::Mat> pictures_;
  std::vector<Batch> batches_;
  std::size_t tiles_ = 0;
};

}  // namespace retouchd::bench
