#include "queue/tile_scheduler.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace retouchd::queue {
namespace {

Bytes bytes_of(const Tile& tile) { return {tile.window.total() * tile.window.elemSize()}; }

}  // namespace

bool TileScheduler::push(Tile tile) {
  std::unique_lock lock(mutex_);
  if (!tile.preview) room_.wait(lock, [this] { return closed_ || waiting_full_pass_ < capacity_; });
  if (closed_) return false;
  insert(std::move(tile));
  filled_.notify_all();
  return true;
}

void TileScheduler::insert(Tile tile) {
  ++waiting_;
  if (!tile.preview) ++waiting_full_pass_;
  bytes_ += bytes_of(tile);
  Lanes& lanes = bins_[tile.bin][Rank{!tile.preview, -tile.priority}];
  // A picture's tiles arrive one after the other, so its lane is nearly always the last one touched.
  const auto lane = std::find_if(lanes.rbegin(), lanes.rend(), [&](const PictureLane& l) { return l.picture == tile.picture; });
  if (lane != lanes.rend()) {
    lane->tiles.push_back(std::move(tile));
    return;
  }
  lanes.push_back({tile.picture, {}});
  lanes.back().tiles.push_back(std::move(tile));
}

std::map<Bin, TileScheduler::RankedLanes>::iterator TileScheduler::best_bin() {
  const auto oldest = [](const Lanes& lanes) {
    std::uint64_t ticket = std::numeric_limits<std::uint64_t>::max();
    for (const PictureLane& lane : lanes) ticket = std::min(ticket, lane.picture);
    return ticket;
  };
  const auto urgency = [&](const std::pair<const Bin, RankedLanes>& bin) {
    return std::pair(bin.second.begin()->first, oldest(bin.second.begin()->second));
  };
  return std::min_element(bins_.begin(), bins_.end(), [&](const auto& a, const auto& b) { return urgency(a) < urgency(b); });
}

std::size_t TileScheduler::count_up_to(const RankedLanes& ranked, std::size_t limit) {
  std::size_t count = 0;
  for (const auto& [rank, lanes] : ranked) {
    for (const PictureLane& lane : lanes) {
      count += lane.tiles.size();
      if (count >= limit) return limit;
    }
  }
  return count;
}

Batch TileScheduler::take(std::map<Bin, RankedLanes>::iterator bin, std::size_t max_tiles) {
  Batch batch{bin->first, {}};
  RankedLanes& ranked = bin->second;
  while (!ranked.empty() && batch.tiles.size() < max_tiles) {
    Lanes& lanes = ranked.begin()->second;
    PictureLane& lane = lanes.front();
    count_out(lane.tiles.front());
    batch.tiles.push_back(std::move(lane.tiles.front()));
    lane.tiles.pop_front();
    if (lane.tiles.empty()) {
      lanes.pop_front();
    } else {
      lanes.splice(lanes.end(), lanes, lanes.begin());  // next picture's turn
    }
    if (lanes.empty()) ranked.erase(ranked.begin());
  }
  if (ranked.empty()) bins_.erase(bin);
  room_.notify_all();
  return batch;
}

bool TileScheduler::wait_for_work(std::chrono::milliseconds limit) {
  std::unique_lock lock(mutex_);
  return filled_.wait_for(lock, limit, [this] { return closed_ || waiting_ > 0; });
}

std::optional<Batch> TileScheduler::pop(std::size_t max_tiles, std::chrono::milliseconds max_wait) {
  std::unique_lock lock(mutex_);
  while (true) {
    filled_.wait(lock, [this] { return closed_ || waiting_ > 0; });
    remove_abandoned();
    if (waiting_ == 0) {
      if (closed_) return std::nullopt;
      continue;
    }
    // Previews are wanted now and go out underfull; full passes may wait a moment for company.
    const auto wants_to_go = [&] {
      if (closed_ || waiting_ == 0) return true;
      const auto bin = best_bin();
      return !bin->second.begin()->first.full_pass || count_up_to(bin->second, max_tiles) == max_tiles;
    };
    filled_.wait_for(lock, max_wait, wants_to_go);
    if (waiting_ == 0) continue;  // another worker was faster
    return take(best_bin(), max_tiles);
  }
}

void TileScheduler::close() noexcept {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  room_.notify_all();
  filled_.notify_all();
}

void TileScheduler::drop_abandoned() {
  const std::lock_guard lock(mutex_);
  remove_abandoned();
}

void TileScheduler::remove_abandoned() {
  for (auto bin = bins_.begin(); bin != bins_.end();) {
    for (auto ranked = bin->second.begin(); ranked != bin->second.end();) {
      std::erase_if(ranked->second, [&](const PictureLane& lane) {
        if (!lane.tiles.front().owner->is_abandoned()) return false;
        for (const Tile& tile : lane.tiles) count_out(tile);
        return true;
      });
      ranked = ranked->second.empty() ? bin->second.erase(ranked) : std::next(ranked);
    }
    bin = bin->second.empty() ? bins_.erase(bin) : std::next(bin);
  }
  room_.notify_all();
}

void TileScheduler::count_out(const Tile& tile) {
  --waiting_;
  if (!tile.preview) --waiting_full_pass_;
  bytes_ -= bytes_of(tile);
}

std::size_t TileScheduler::depth() const {
  const std::lock_guard lock(mutex_);
  return waiting_;
}

Bytes TileScheduler::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

}  // namespace retouchd::queue
