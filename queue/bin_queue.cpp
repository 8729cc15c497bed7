#include "queue/bin_queue.h"

#include <utility>

namespace retouchd::queue {

void BinQueue::push(Tile tile, std::uint64_t arrived, std::uint64_t level) {
  arrivals_.push_back({std::move(tile), arrived});
  const auto place = std::prev(arrivals_.end());
  ranks_.try_emplace(rank_of(place->tile), bin_).first->second.push(place, level);
}

void BinQueue::put_back(Tile tile) {
  returned_.push_back({std::move(tile), 0});
  const auto place = std::prev(returned_.end());
  ranks_.try_emplace(rank_of(place->tile), bin_).first->second.put_back(place);
}

Tile BinQueue::leave(Arrivals::iterator place) {
  Tile tile = std::move(place->tile);
  (place->arrived == 0 ? returned_ : arrivals_).erase(place);
  return tile;
}

Tile BinQueue::take() {
  const auto best = ranks_.begin();
  const auto place = best->second.take();
  if (best->second.is_empty()) ranks_.erase(best);
  return leave(place);
}

std::vector<Tile> BinQueue::take_oldest_picture(std::size_t most) {
  const auto oldest = oldest_place();
  const auto rank = ranks_.find(rank_of(oldest->tile));
  FairLanes& lanes = rank->second;
  std::vector<Tile> tiles;
  tiles.push_back(leave(oldest->arrived == 0 ? lanes.take_returned() : lanes.take_from_picture_of(oldest->tile)));
  while (tiles.size() < most && lanes.has_picture_of(tiles.front())) {
    tiles.push_back(leave(lanes.take_from_picture_of(tiles.front())));
  }
  if (lanes.is_empty()) ranks_.erase(rank);
  return tiles;
}

std::vector<Tile> BinQueue::remove_abandoned() {
  std::vector<Arrivals::iterator> removed;
  for (auto ranked = ranks_.begin(); ranked != ranks_.end();) {
    ranked->second.remove_abandoned(removed);
    ranked = ranked->second.is_empty() ? ranks_.erase(ranked) : std::next(ranked);
  }
  std::vector<Tile> tiles;
  tiles.reserve(removed.size());
  for (const auto& place : removed) tiles.push_back(leave(place));
  return tiles;
}

}  // namespace retouchd::queue
