#include "stages/tile_plan.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numbers>

namespace retouchd::stages {
namespace {

int round_up(int value, int multiple) { return (value + multiple - 1) / multiple * multiple; }

/// Input pixels that a tile keeps away from its inner edges.
int margin_of(const inference::NetworkInfo& network) {
  return network.receptive_field ? network.halo() : round_up(kFeatherOverlap / 2 / network.scale, network.multiple);
}

/// Windows of `side` that cover `padded` pixels.
int count_for(int padded, int side, int margin) {
  const int own = side - 2 * margin;
  return padded <= side ? 1 : (padded - 2 * margin + own - 1) / own;
}

/// Equal strides of at most side - 2 * halo, so that each core keeps `halo` pixels away from its window's inner edges.
TileAxis cut_axis(int length, int side, int halo, int multiple) {
  TileAxis axis{length, {}};
  const int padded = round_up(length, multiple);
  if (padded <= side) {
    axis.windows.push_back({0, 0, length, 0, 0});
    return axis;
  }
  const int count = count_for(padded, side, halo);
  const std::int64_t units = (padded - side) / multiple;
  for (int i = 0; i < count; ++i) {
    axis.windows.push_back({static_cast<int>(i * units / (count - 1)) * multiple, 0, length, 0, 0});
  }
  for (std::size_t i = 0; i + 1 < axis.windows.size(); ++i) {
    // Anywhere between the two inner halos is right; the middle keeps farthest from both windows' edges.
    const int border = (axis.windows[i + 1].origin + axis.windows[i].origin + side) / 2;
    axis.windows[i].end = axis.windows[i + 1].begin = border;
  }
  return axis;
}

/// Ramps around the inner borders, narrowed so that at most two windows have a say at any place.
void add_ramps(TileAxis& axis, int half_width) {
  for (std::size_t i = 0; i + 1 < axis.windows.size(); ++i) {
    TileAxis::Window& left = axis.windows[i];
    TileAxis::Window& right = axis.windows[i + 1];
    left.ramp_end = right.ramp_begin = std::min({half_width, (left.end - left.begin) / 2, (right.end - right.begin) / 2});
  }
}

/// Shapes that pictures of all sizes share, in sixteenths of the largest side; none has more pixels than its square. Found by
/// search for pictures of usual sizes: docs/decisions/006-canonical-tiles.md.
struct Shape {
  int width;
  int height;
};
constexpr std::array<Shape, 6> kShared{{{12, 21}, {14, 18}, {15, 15}, {18, 14}, {19, 13}, {8, 8}}};

// What a batch costs beside its tiles: full ones of 16 are taken to last four times as long as a single tile, so each costs as
// much as four tiles.
constexpr std::int64_t kBatch = 16;
constexpr std::int64_t kTilesPerBatch = 4;

/// The tile with the least time on the device for one picture.
class BestTile {
 public:
  BestTile(cv::Size picture, const inference::NetworkInfo& network, int largest)
      : width_(round_up(picture.width, network.multiple)),
        height_(round_up(picture.height, network.multiple)),
        margin_(margin_of(network)),
        multiple_(network.multiple),
        square_(static_cast<std::int64_t>(largest) * largest) {}

  /// A shape whose batches other pictures help to fill.
  void consider_shared(cv::Size tile) { consider(tile, 0); }

  /// Shapes that cover exactly this picture. Nobody else fills the last batch of such tiles: on average half of one is lost.
  void consider_own(int least) {
    for (int columns = 1; columns * multiple_ <= width_ && own_side(width_, columns) >= least; ++columns) {
      for (int rows = 1; rows * multiple_ <= height_ && own_side(height_, rows) >= least; ++rows) {
        const cv::Size tile(own_side(width_, columns), own_side(height_, rows));
        if (std::max(tile.width, tile.height) > 2 * std::min(tile.width, tile.height)) continue;
        if (static_cast<std::int64_t>(tile.width) * tile.height <= square_) consider(tile, kTilesPerBatch * square_ / 2);
      }
    }
  }

  [[nodiscard]] cv::Size tile() const { return tile_; }

 private:
  [[nodiscard]] int own_side(int padded, int count) const {
    if (count == 1) return padded;
    return round_up((padded - 2 * margin_ + count - 1) / count + 2 * margin_, multiple_);
  }

  void consider(cv::Size tile, std::int64_t extra) {
    const std::int64_t count =
        static_cast<std::int64_t>(count_for(width_, tile.width, margin_)) * count_for(height_, tile.height, margin_);
    const std::int64_t cost =
        count * (static_cast<std::int64_t>(tile.width) * tile.height + kTilesPerBatch * square_ / kBatch) + extra;
    if (cost >= cost_) return;
    cost_ = cost;
    tile_ = tile;
  }

  const int width_;
  const int height_;
  const int margin_;
  const int multiple_;
  const std::int64_t square_;
  std::int64_t cost_ = std::numeric_limits<std::int64_t>::max();
  cv::Size tile_;
};

}  // namespace

TilePlan::Tile TilePlan::at(int index) const {
  const TileAxis::Window& column = across(index);
  const TileAxis::Window& row = down(index);
  const int right = std::min(column.origin + tile.width, x.length);
  const int bottom = std::min(row.origin + tile.height, y.length);
  return {{column.origin, row.origin, right - column.origin, bottom - row.origin},
          {column.begin, row.begin, column.end - column.begin, row.end - row.begin}};
}

TilePlan plan_tiles(cv::Size picture, const inference::NetworkInfo& network, cv::Size tile) {
  TilePlan plan;
  plan.tile = tile;
  plan.is_feathered = !network.receptive_field;
  const int halo = margin_of(network);
  plan.x = cut_axis(picture.width, tile.width, halo, network.multiple);
  plan.y = cut_axis(picture.height, tile.height, halo, network.multiple);
  if (plan.is_feathered) {
    add_ramps(plan.x, halo);
    add_ramps(plan.y, halo);
  }
  return plan;
}

TilePlan plan_single_pass(cv::Size picture, const inference::NetworkInfo& network) {
  return plan_tiles(picture, network, {round_up(picture.width, network.multiple), round_up(picture.height, network.multiple)});
}

int largest_side(const inference::NetworkInfo& network, int configured) noexcept {
  return network.scale == 1 ? configured : std::max(128, configured / 2);
}

TilePlan plan_best_tiles(cv::Size picture, const inference::NetworkInfo& network, int largest) {
  const int overlap = std::max(2 * margin_of(network), kFeatherOverlap);
  const int least = round_up(2 * overlap, network.multiple);
  largest = largest_side(network, largest);
  if (largest < least) largest = round_up(5 * overlap / 2, network.multiple);

  const auto side_of = [&](int sixteenths) { return largest * sixteenths / 16 / network.multiple * network.multiple; };
  BestTile best(picture, network, largest);
  const auto holds_all = [&](cv::Size tile) { return tile.width >= picture.width && tile.height >= picture.height; };
  for (const Shape& shape : kShared) {
    const cv::Size tile(side_of(shape.width), side_of(shape.height));
    if (holds_all(tile) || std::min(tile.width, tile.height) >= least) best.consider_shared(tile);
  }
  best.consider_own(least);
  const cv::Size square(side_of(16), side_of(16));
  if (holds_all(square) || best.tile().empty()) best.consider_shared(square);
  return plan_tiles(picture, network, best.tile());
}

float feather_weight(const TileAxis::Window& window, int position) noexcept {
  // Share of what lies right of `border`, rising over [border - ramp, border + ramp).
  const auto rise = [position](int border, int ramp) {
    if (position < border - ramp) return 0.0F;
    if (position >= border + ramp) return 1.0F;
    const float way = (static_cast<float>(position - border + ramp) + 0.5F) / static_cast<float>(2 * ramp);
    return 0.5F - 0.5F * std::cos(std::numbers::pi_v<float> * way);
  };
  const float entered = rise(window.begin, window.ramp_begin);
  const float left = rise(window.end, window.ramp_end);
  return entered * (1.0F - left);
}

}  // namespace retouchd::stages
