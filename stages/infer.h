#pragma once

#include <functional>
#include <memory>
#include <opencv2/core/mat.hpp>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "queue/tile_scheduler.h"
#include "stages/device_pool.h"
#include "stages/observer.h"
#include "stages/tiled_pass.h"

namespace retouchd::stages {

/// What goes from `infer` to `merge`.
struct RestoredTile {
  std::shared_ptr<TiledPass> pass;
  int index = 0;
  cv::Mat pixels;  ///< of the pass's tile_depth(), window times scale
};

[[nodiscard]] inline Bytes bytes_of(const RestoredTile& tile) noexcept { return {tile.pixels.total() * tile.pixels.elemSize()}; }

/// A batch of tiles of any pictures -> restored tiles, whatever the device does:
///
///   out of memory   the batch goes in halves; a tile that does not fit alone goes in parts with context. What fits is remembered
///   wrong numbers   NaN, far out of range, one colour: that tile again on the plain path in fp32 (integrity.h)
///   any other error each tile alone, if the device answers at all; if not, the tiles are handed back for another device
///
/// Confined to one of its device's threads.
class Infer {
 public:
  static constexpr std::string_view kName = "infer";

  /// A tile that devices failed on so often fails its job; there it counts as one attempt.
  static constexpr int kMostFailures = 8;

  struct Outcome {
    std::vector<RestoredTile> tiles;
    std::vector<queue::Tile> handed_back;  ///< the device does not answer
    std::string error;                     ///< the device's, with handed_back
  };

  /// `computing` is passed on to the device.
  Infer(DevicePool::Member& member, bool has_static_batches, PipelineObserver& observer, std::function<void(bool)> computing)
      : member_(member), has_static_batches_(has_static_batches), observer_(observer), computing_(std::move(computing)) {}

  /// A picture whose tile cannot be restored at all was told so.
  [[nodiscard]] Outcome process(queue::Batch batch);

 private:
  using Tiles = std::span<queue::Tile>;

  void restore(Tiles tiles, Outcome& outcome);
  void restore_alone(queue::Tile& tile, const Error& error, Outcome& outcome);
  void after_out_of_memory(Tiles tiles, const Error& error, Outcome& outcome);
  void after_failure(Tiles tiles, const Error& error, Outcome& outcome);
  /// The tile in smaller pieces, put together again.
  [[nodiscard]] Result<cv::Mat> restore_in_parts(const queue::Tile& tile);
  /// What the integrity gate makes of a restored window: the pixels to keep.
  [[nodiscard]] Result<cv::Mat> accept(const inference::NetworkInfo& network, cv::Size tensor, const inference::Window& window,
                                       inference::Restored restored);
  [[nodiscard]] Result<std::vector<inference::Restored>> call(const inference::NetworkInfo& network, cv::Size tensor,
                                                              std::span<const inference::Window> windows, bool plain = false);
  void fail(const queue::Tile& tile, const Error& error);

  DevicePool::Member& member_;
  const bool has_static_batches_;
  PipelineObserver& observer_;
  const std::function<void(bool)> computing_;
  bool is_urgent_ = false;  ///< the batch at hand begins with a preview
};

}  // namespace retouchd::stages
