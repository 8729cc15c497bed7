#include "stages/tile_plan.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <optional>

namespace retouchd::stages {
namespace {

int round_up(int value, int multiple) { return (value + multiple - 1) / multiple * multiple; }

/// Equal strides of at most side - 2 * halo, so that each core keeps `halo` pixels away from its window's inner edges.
TileAxis cut_axis(int length, int side, int halo, int multiple) {
  TileAxis axis{length, {}};
  const int padded = round_up(length, multiple);
  if (padded <= side) {
    axis.windows.push_back({0, 0, length, 0, 0});
    return axis;
  }
  const int count = (padded - 2 * halo + side - 2 * halo - 1) / (side - 2 * halo);
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
  const int halo = plan.is_feathered ? round_up(kFeatherOverlap / 2 / network.scale, network.multiple) : network.halo();
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
  largest = largest_side(network, largest);
  const int context = std::max(2 * network.halo(), kFeatherOverlap);
  const auto work = [](const TilePlan& plan) { return static_cast<std::int64_t>(plan.count()) * plan.tile.area(); };
  std::optional<TilePlan> best;
  for (int base = 128; base <= largest || !best; base *= 2) {
    for (const int side : {base, base + base / 2}) {
      // At least half of a tile must be its own; a network that reaches farther gets larger tiles than `largest`.
      if (side % network.multiple != 0 || side < 2 * context || (side > largest && best)) continue;
      TilePlan plan = plan_tiles(picture, network, {side, side});
      if (!best || work(plan) <= work(*best)) best = std::move(plan);
    }
  }
  return *best;
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
