#pragma once

#include <cstdint>
#include <deque>
#include <list>
#include <string>
#include <unordered_map>
#include <vector>

#include "queue/tile.h"

namespace retouchd::queue {

/// A tile at its place in the order of arrival.
struct WaitingTile {
  Tile tile;
  std::uint64_t arrived = 0;  ///< 1, 2, 3, ... over all bins; 0: put back, so it counts as having waited longest
};
using Arrivals = std::list<WaitingTile>;

/// Tiles of one bin and one rank, shared out by deficit round robin in tensor pixels, first over clients and inside each client
/// over its pictures:
///
///     put back   x x                      before all others
///     client a | picture 1  1 1 1 1 1     a's turn: one quantum of pixels from its front picture, ...
///              | picture 4  4 4
///     client b | picture 2  2             ... then b's
///
/// A turn adds a quantum (the area of a 512 x 512 tile, at least one tile's) to the deficit of whoever stands in front; a tile
/// costs its area; who can pay no further tile goes to the back and keeps the rest. So small tiles go several a turn, and over
/// any stretch of time the shares of two clients that both wait differ by at most one quantum and one tile (M. Shreedhar and
/// G. Varghese, "Efficient fair queueing using deficit round robin", 1995).
///
/// Every step costs the same however many tiles wait. Confined to the scheduler's lock.
class FairLanes {
 public:
  using Place = Arrivals::iterator;

  explicit FairLanes(const Bin& bin);

  /// `level`: where a picture begins that has no tile here yet; see Next.
  void push(Place place, std::uint64_t level);
  void put_back(Place place) { returned_.push_back(place); }

  [[nodiscard]] bool is_empty() const noexcept { return returned_.empty() && clients_.empty(); }

  /// Whose turn it is. Not when empty.
  struct Next {
    const Tile* tile = nullptr;
    std::uint64_t picture_level = 0;  ///< tensor pixels that the picture got so far, from where it began; 0 when put back
  };
  [[nodiscard]] Next next() const;

  /// The next tile in turn. Not when empty.
  [[nodiscard]] Place take();
  /// The first tile of the picture that `tile` belongs to, out of turn; its client pays with later turns. It must have one.
  [[nodiscard]] Place take_from_picture_of(const Tile& tile);
  [[nodiscard]] bool has_picture_of(const Tile& tile) const;
  /// The first of those put back. Only when there is one.
  [[nodiscard]] Place take_returned();

  /// Tiles whose owners have abandoned them leave the lanes and are appended.
  void remove_abandoned(std::vector<Place>& removed);

 private:
  struct PictureLane {
    std::uint64_t picture = 0;
    std::int64_t deficit = 0;
    std::uint64_t level = 0;
    std::deque<Place> tiles;  // never empty
  };
  struct ClientLane {
    std::string client;
    std::int64_t deficit = 0;
    std::list<PictureLane> pictures;  // never empty; the front one gives the next tile
    std::unordered_map<std::uint64_t, std::list<PictureLane>::iterator> by_picture;
  };

  /// Brings the lane whose turn it is to the front, with a deficit that pays for a tile.
  template <class Lane>
  void begin_turn(std::list<Lane>& lanes) const;
  [[nodiscard]] Place take(std::list<ClientLane>::iterator client, std::list<PictureLane>::iterator picture);

  const std::int64_t area_;     // of a tile, in tensor pixels
  const std::int64_t quantum_;  // of a turn
  std::deque<Place> returned_;
  std::list<ClientLane> clients_;  // the front one's turn it is
  std::unordered_map<std::string, std::list<ClientLane>::iterator> by_client_;
};

}  // namespace retouchd::queue
