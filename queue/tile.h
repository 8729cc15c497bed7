#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <opencv2/core/mat.hpp>
#include <string>
#include <vector>

#include "base/clock.h"

namespace retouchd::queue {

/// Whose tile it is. Stages hang their own data behind it; the scheduler only asks whether the work is still wanted.
class TileOwner {
 public:
  virtual ~TileOwner() = default;
  /// Cancelled, failed or handed back meanwhile: its tiles are dropped instead of computed. Called under the scheduler's lock.
  [[nodiscard]] virtual bool is_abandoned() const noexcept = 0;
};

/// Tiles that can share a batch have the same bin.
struct Bin {
  std::string network;
  int width = 0;  ///< of the tensor, in pixels
  int height = 0;

  [[nodiscard]] std::uint64_t pixels() const noexcept {
    return static_cast<std::uint64_t>(width) * static_cast<std::uint64_t>(height);
  }
  friend auto operator<=>(const Bin&, const Bin&) = default;
};

/// The unit of work between the stages `tile` and `merge`.
struct Tile {
  Bin bin;
  /// Ticket of the picture or preview: tiles of one picture share it, later pictures have higher ones.
  std::uint64_t picture = 0;
  bool preview = false;          ///< previews overtake everything
  int priority = 0;              ///< of the job; higher goes first
  UnixMillis deadline = kNever;  ///< of the job; earlier goes first
  std::string client;            ///< who asked (JobRequest::origin): clients share the device equally
  int index = 0;                 ///< within the picture's plan
  cv::Mat window;                ///< view into the picture (CV_8U or CV_16U, 1 or 3 channels); keeps the pixels alive
  cv::Mat companion;             ///< the same view into its second picture (depth, other view), or empty
  int failures = 0;              ///< how often a device failed on it
  std::shared_ptr<TileOwner> owner;
};

/// Tiles of one bin, ready for the device.
struct Batch {
  Bin bin;
  std::vector<Tile> tiles;
};

}  // namespace retouchd::queue
