#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "queue/fair_lanes.h"
#include "queue/tile.h"

namespace retouchd::queue {

/// Best first: previews, then higher priority, then earlier deadline.
struct Rank {
  bool full_pass = true;
  int negated_priority = 0;
  UnixMillis deadline = kNever;

  friend auto operator<=>(const Rank&, const Rank&) = default;
};

[[nodiscard]] inline Rank rank_of(const Tile& tile) { return {!tile.preview, -tile.priority, tile.deadline}; }

/// All tiles of one bin: by rank, inside a rank in fair turns, and beside that in the order of their arrival.
/// Confined to the scheduler's lock.
class BinQueue {
 public:
  explicit BinQueue(const Bin& bin) : bin_(bin) {}

  /// `arrived` rises from call to call; `level` as in FairLanes::push().
  void push(Tile tile, std::uint64_t arrived, std::uint64_t level);
  /// Before all others of its rank.
  void put_back(Tile tile);

  [[nodiscard]] std::size_t size() const noexcept { return arrivals_.size() + returned_.size(); }

  // None of these when empty:
  [[nodiscard]] const Rank& best_rank() const { return ranks_.begin()->first; }
  [[nodiscard]] FairLanes::Next next() const { return ranks_.begin()->second.next(); }
  /// When the tile arrived that has waited longest; 0 when it was put back.
  [[nodiscard]] std::uint64_t oldest() const { return oldest_place()->arrived; }

  /// The best tile.
  [[nodiscard]] Tile take();
  /// The tile that has waited longest, and after it others of its picture: `most` together.
  [[nodiscard]] std::vector<Tile> take_oldest_picture(std::size_t most);

  [[nodiscard]] std::vector<Tile> remove_abandoned();

  int passed_over = 0;  ///< how often another bin's batch went first although the best tile is here

 private:
  [[nodiscard]] Arrivals::const_iterator oldest_place() const { return (returned_.empty() ? arrivals_ : returned_).begin(); }
  [[nodiscard]] Tile leave(Arrivals::iterator place);

  const Bin bin_;
  Arrivals arrivals_;                // oldest first; the oldest one is also the first of its picture's lane
  Arrivals returned_;                // likewise of those that were put back
  std::map<Rank, FairLanes> ranks_;  // never empty lanes
};

}  // namespace retouchd::queue
