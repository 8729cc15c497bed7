#pragma once

#include <chrono>
#include <compare>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <opencv2/core/mat.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/units.h"

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

  friend auto operator<=>(const Bin&, const Bin&) = default;
};

/// The unit of work between the stages `tile` and `merge`.
struct Tile {
  Bin bin;
  /// Ticket of the picture or preview: tiles of one picture share it, later pictures have higher ones.
  std::uint64_t picture = 0;
  bool preview = false;  ///< previews overtake everything
  int priority = 0;      ///< of the job; higher goes first
  int index = 0;         ///< within the picture's plan
  cv::Mat window;        ///< view into the picture (CV_8U or CV_16U, 1 or 3 channels); keeps the pixels alive
  cv::Mat companion;     ///< the same view into its second picture (depth, other view), or empty
  std::shared_ptr<TileOwner> owner;
};

/// Tiles of one bin, ready for the device.
struct Batch {
  Bin bin;
  std::vector<Tile> tiles;
};

/// The ready tiles of all pictures, from which device workers pull batches.
///
///   picture A: a1 a2 a3 a4 ...       bin (network, 512): previews | priority 5 | priority 0
///   picture B: b1 b2                                                             A: a1 a2 a3
///   picture C: c1                      pop(4) -> a1 b1 c1 a2                     B: b1 b2
///                                                                                C: c1
///
/// Order: previews, then priority, then one tile from each picture in turn, so that small pictures finish beside large ones.
/// The bin with the best first tile goes next; between equals the one whose oldest picture came first, so none starves.
/// Work-conserving: pop() returns at once when a full batch is there; an underfull one goes out after `max_wait`, spent only when
/// the asking device has nothing else to do.
///
/// Threads: any number of producers and consumers.
class TileScheduler {
 public:
  /// `capacity`: tiles of full pictures that may wait; push() blocks beyond (previews never block).
  explicit TileScheduler(std::size_t capacity) : capacity_(capacity) {}

  /// False when closed; the tile is then dropped.
  [[nodiscard]] bool push(Tile tile);

  /// True as soon as tiles wait (or the scheduler is closed), false after `limit` without.
  [[nodiscard]] bool wait_for_work(std::chrono::milliseconds limit);

  /// The next batch of at most `max_tiles`; nullopt once closed and empty. Abandoned tiles are dropped on the way.
  [[nodiscard]] std::optional<Batch> pop(std::size_t max_tiles, std::chrono::milliseconds max_wait);

  /// After this push() refuses and pop() hands out what is left.
  void close() noexcept;

  /// Drops the tiles of abandoned owners now, so that their pictures' memory is free at once.
  void drop_abandoned();

  [[nodiscard]] std::size_t depth() const;
  /// Of the windows that wait; they are views into pictures that the memory ledger counts already.
  [[nodiscard]] Bytes bytes() const;

 private:
  /// Best first: previews, then higher priority.
  struct Rank {
    bool full_pass = true;
    int negated_priority = 0;
    friend auto operator<=>(const Rank&, const Rank&) = default;
  };
  struct PictureLane {
    std::uint64_t picture = 0;
    std::deque<Tile> tiles;
  };
  using Lanes = std::list<PictureLane>;       // the front one gives the next tile
  using RankedLanes = std::map<Rank, Lanes>;  // never holds empty lanes

  void insert(Tile tile);
  [[nodiscard]] std::map<Bin, RankedLanes>::iterator best_bin();
  [[nodiscard]] static std::size_t count_up_to(const RankedLanes& ranked, std::size_t limit);
  [[nodiscard]] Batch take(std::map<Bin, RankedLanes>::iterator bin, std::size_t max_tiles);
  void remove_abandoned();
  void count_out(const Tile& tile);

  const std::size_t capacity_;
  mutable std::mutex mutex_;
  std::condition_variable room_;
  std::condition_variable filled_;
  std::map<Bin, RankedLanes> bins_;
  std::size_t waiting_ = 0;            ///< all tiles
  std::size_t waiting_full_pass_ = 0;  ///< without previews: what the capacity counts
  Bytes bytes_;
  bool closed_ = false;
};

}  // namespace retouchd::queue
