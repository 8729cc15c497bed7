#include "queue/fair_lanes.h"

#include <algorithm>

namespace retouchd::queue {
namespace {

constexpr std::int64_t kQuantum = 512 * 512;

}  // namespace

FairLanes::FairLanes(const Bin& bin)
    : area_(std::max<std::int64_t>(1, static_cast<std::int64_t>(bin.pixels()))), quantum_(std::max(kQuantum, area_)) {}

void FairLanes::push(Place place, std::uint64_t level) {
  const Tile& tile = place->tile;
  const auto [client, is_new_client] = by_client_.try_emplace(tile.client);
  if (is_new_client) {
    clients_.emplace_back().client = tile.client;
    client->second = std::prev(clients_.end());
  }
  ClientLane& lane = *client->second;
  const auto [picture, is_new_picture] = lane.by_picture.try_emplace(tile.picture);
  if (is_new_picture) {
    lane.pictures.push_back({.picture = tile.picture, .deficit = 0, .level = level, .tiles = {}});
    picture->second = std::prev(lane.pictures.end());
  }
  picture->second->tiles.push_back(place);
}

FairLanes::Next FairLanes::next() const {
  if (!returned_.empty()) return {&returned_.front()->tile, 0};
  const PictureLane& picture = clients_.front().pictures.front();
  return {&picture.tiles.front()->tile, picture.level};
}

template <class Lane>
void FairLanes::begin_turn(std::list<Lane>& lanes) const {
  while (lanes.front().deficit < area_) {
    lanes.front().deficit += quantum_;
    // Still nothing: it pays for tiles that it was given out of turn.
    if (lanes.front().deficit < area_) lanes.splice(lanes.end(), lanes, lanes.begin());
  }
}

FairLanes::Place FairLanes::take() {
  if (!returned_.empty()) return take_returned();
  begin_turn(clients_);
  begin_turn(clients_.front().pictures);
  return take(clients_.begin(), clients_.front().pictures.begin());
}

FairLanes::Place FairLanes::take_returned() {
  const Place place = returned_.front();
  returned_.pop_front();
  return place;
}

bool FairLanes::has_picture_of(const Tile& tile) const {
  const auto client = by_client_.find(tile.client);
  return client != by_client_.end() && client->second->by_picture.contains(tile.picture);
}

FairLanes::Place FairLanes::take_from_picture_of(const Tile& tile) {
  const auto client = by_client_.at(tile.client);
  return take(client, client->by_picture.at(tile.picture));
}

FairLanes::Place FairLanes::take(std::list<ClientLane>::iterator client, std::list<PictureLane>::iterator picture) {
  const Place place = picture->tiles.front();
  picture->tiles.pop_front();
  picture->deficit -= area_;
  picture->level += static_cast<std::uint64_t>(area_);
  client->deficit -= area_;
  if (picture->tiles.empty()) {
    client->by_picture.erase(picture->picture);
    client->pictures.erase(picture);
  } else if (picture->deficit < area_) {
    client->pictures.splice(client->pictures.end(), client->pictures, picture);
  }
  if (client->pictures.empty()) {
    by_client_.erase(client->client);
    clients_.erase(client);
  } else if (client->deficit < area_) {
    clients_.splice(clients_.end(), clients_, client);
  }
  return place;
}

void FairLanes::remove_abandoned(std::vector<Place>& removed) {
  const auto is_abandoned = [](Place place) { return place->tile.owner->is_abandoned(); };
  const auto leave = [&](std::deque<Place>& tiles) {
    const auto kept = std::stable_partition(tiles.begin(), tiles.end(), [&](Place place) { return !is_abandoned(place); });
    removed.insert(removed.end(), kept, tiles.end());
    tiles.erase(kept, tiles.end());
  };
  leave(returned_);
  for (auto client = clients_.begin(); client != clients_.end();) {
    for (auto picture = client->pictures.begin(); picture != client->pictures.end();) {
      leave(picture->tiles);
      if (!picture->tiles.empty()) {
        ++picture;
        continue;
      }
      client->by_picture.erase(picture->picture);
      picture = client->pictures.erase(picture);
    }
    if (!client->pictures.empty()) {
      ++client;
      continue;
    }
    by_client_.erase(client->client);
    client = clients_.erase(client);
  }
}

}  // namespace retouchd::queue
