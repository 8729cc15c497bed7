#pragma once

#include <opencv2/core/types.hpp>
#include <vector>

#include "inference/network_info.h"

namespace retouchd::stages {

/// How one side of a picture is cut. Windows are what the network sees, cores what is kept of each; the cores cover [0, length)
/// exactly once.
///
///   window 0  |=======core 0======|~~halo~~|
///   window 1               |~~halo~~|=====core 1=====|~~halo~~|
///   window 2                                   |~~halo~~|===core 2===|   last one flush with the end
struct TileAxis {
  struct Window {
    int origin = 0;  ///< first pixel, a multiple of the network's multiple
    int begin = 0;   ///< of the core
    int end = 0;
    int ramp_begin = 0;  ///< half-width of the blend ramp around `begin`, in pixels; 0: a hard edge
    int ramp_end = 0;    ///< ... around `end`
  };
  int length = 0;
  std::vector<Window> windows;
};

/// Which tiles a picture is cut into. All tensors are of the size `tile`.
///
/// A network with a finite receptive field gets a halo that covers it, and the merge keeps the cores: tiled equals whole. A side
/// that is shorter than the tile is padded by reflection up to it. For a global network the cores blend into each other over
/// ramps (feather), because there is no halo that could make tiles equal.
struct TilePlan {
  struct Tile {
    cv::Rect window;  ///< inside the picture; what is missing to a whole tile is padded by reflection
    cv::Rect core;    ///< inside `window`; the cores partition the picture
  };

  cv::Size tile;
  TileAxis x;
  TileAxis y;
  bool is_feathered = false;

  [[nodiscard]] int count() const noexcept { return static_cast<int>(x.windows.size() * y.windows.size()); }
  [[nodiscard]] cv::Size size() const noexcept { return {x.length, y.length}; }
  /// Pixels that the network computes, over those of the picture.
  [[nodiscard]] double work_ratio() const noexcept {
    return static_cast<double>(tile.area()) * count() / static_cast<double>(size().area());
  }
  /// Row-major: 0 is the top left tile.
  [[nodiscard]] Tile at(int index) const;
  /// The windows of tile `index` along the two axes.
  [[nodiscard]] const TileAxis::Window& across(int index) const {
    return x.windows[static_cast<std::size_t>(index) % x.windows.size()];
  }
  [[nodiscard]] const TileAxis::Window& down(int index) const {
    return y.windows[static_cast<std::size_t>(index) / x.windows.size()];
  }
};

/// Overlap of two tiles of a global network, in output pixels.
inline constexpr int kFeatherOverlap = 64;

/// The largest side of a tile when `configured` is the limit: half of it for super-resolution, whose work and memory are those of
/// its output.
[[nodiscard]] int largest_side(const inference::NetworkInfo& network, int configured) noexcept;

/// Cuts a picture into tiles of exactly this size, whose sides must exceed twice the halo (and kFeatherOverlap).
[[nodiscard]] TilePlan plan_tiles(cv::Size picture, const inference::NetworkInfo& network, cv::Size tile);

/// One tile that holds the whole picture, rounded up to the network's multiple.
[[nodiscard]] TilePlan plan_single_pass(cv::Size picture, const inference::NetworkInfo& network);

/// The tiles that take a device the least time for this picture, repeated work and batches together; of at most
/// largest_side(network, `largest`)^2 pixels, at least half of each side its own.
///
/// A picture of few tiles gets one of seven shapes that all pictures share, so that tiles of different pictures fill a batch;
/// when it is smaller than those, it is padded up to the cheapest. A picture of many tiles gets the shape that covers it best
/// when that saves more than its underfull last batch costs. A network that reaches farther than a quarter of `largest` gets
/// larger tiles. docs/decisions/006-canonical-tiles.md has the figures.
[[nodiscard]] TilePlan plan_best_tiles(cv::Size picture, const inference::NetworkInfo& network, int largest);

/// The weight of a tile's core at `position` along an axis: 1 inside, a raised cosine over the ramps, 0 outside. The weights of
/// all windows of an axis sum to one everywhere.
[[nodiscard]] float feather_weight(const TileAxis::Window& window, int position) noexcept;

}  // namespace retouchd::stages
