#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/units.h"
#include "queue/bin_queue.h"
#include "queue/client_accounts.h"
#include "queue/tile.h"

namespace retouchd::queue {

/// What a device worker asks for.
struct PullRequest {
  /// Tiles of that bin that fit into one batch now, at least 1; called under the scheduler's lock.
  std::function<std::size_t(const Bin&)> most;
  std::chrono::milliseconds max_wait{5};  ///< an idle device waits so long for a fuller batch
  /// Whether the device has nothing else to compute; while it has, an underfull batch can wait for company at no cost. Called
  /// under the lock, again after kick().
  std::function<bool()> is_idle;
  bool only_previews = false;  ///< batches that do not begin with a preview are left to others
};

/// The ready tiles of all pictures, from which device workers pull batches.
///
///     bin net 512x512 | previews                                   which bin is next: its best tile decides
///                     | priority 5 | deadline 12:00   a: 1 1  4    (rank, then who of the clients and of the
///                     |            | none             b: 2         pictures got least); rows from top to
///                     | priority 0 | none             a: 7 7 7     bottom; in a row a and b take turns
///     bin net 320x512 | priority 0 | none             c: 9         (fair_lanes.h)
///
/// Order: previews; then higher priority; then earlier deadline; then deficit round robin in tensor pixels over clients, and
/// inside a client over its pictures. Tiles that were put back go before all others of their rank. Between bins of equal rank the
/// client that got least goes first, then the picture that got least, then the older one.
///
/// Which batch goes out:
/// 1. A preview goes at once; the next best tiles of its bin fill that batch up to a half, as somebody waits for it.
/// 2. Otherwise the best tile's bin, when it fills a batch; else the best bin that does. The best tile's bin is passed over like
///    that kMostPassedOver times, then it goes although underfull.
/// 3. When no bin is full, an idle device waits max_wait for company and takes the best bin; a busy one waits until a
///    batch is full, a preview comes or kick() says that it became idle. After close() nobody waits for company.
///
/// Nothing starves: every kAgedTurn-th batch that does not start with a preview starts with the picture whose tile has waited
/// longest, whatever its rank. So a tile that arrives behind n others leaves within kAgedTurn * (n + 1) such batches (the put
/// back count as older). These turns are the second case in which an underfull batch may overtake a full one.
///
/// A tile whose owner is abandoned is dropped when its turn comes (a batch may then go out with less than was counted), or all of
/// them by drop_abandoned(). push() and pull() cost the same however many tiles wait; pull() looks at each bin once.
///
/// Threads: any number of producers and consumers.
class TileScheduler {
 public:
  static constexpr int kMostPassedOver = 8;
  static constexpr int kAgedTurn = 8;

  /// `capacity`: tiles of full pictures that may wait; push() blocks beyond (previews never block).
  explicit TileScheduler(std::size_t capacity) : capacity_(capacity) {}

  /// False when closed; the tile is then dropped.
  [[nodiscard]] bool push(Tile tile);

  /// All tiles of a preview at once, so that they can go out in one batch; never blocks. False when closed.
  [[nodiscard]] bool push_preview(std::vector<Tile> tiles);

  /// Takes back what a device could not do; goes before all others of its rank. Never blocks; also works after close() as long as
  /// somebody still pulls.
  void put_back(std::vector<Tile> tiles);

  /// The next batch; nullopt when there was none for `limit`, or once closed and empty (see is_drained()). Abandoned tiles are
  /// dropped on the way. Work-conserving: a batch goes out underfull only when no bin can fill one.
  [[nodiscard]] std::optional<Batch> pull(const PullRequest& request, std::chrono::milliseconds limit);

  /// Something that PullRequest asks about has changed: a device became idle, a batch may be larger.
  void kick();

  /// After this push() refuses and pull() hands out what is left.
  void close() noexcept;
  [[nodiscard]] bool is_drained() const;  ///< closed and empty

  /// Drops the tiles of abandoned owners now, so that their pictures' memory is free at once.
  void drop_abandoned();

  /// Tensor pixels that each client got in about the last minute, and whether it has tiles waiting now.
  using Share = ClientAccounts::Recent;  ///< pixels, is_waiting
  [[nodiscard]] std::map<std::string, Share> shares() const;

  [[nodiscard]] std::size_t depth() const;
  /// Of the windows that wait; they are views into pictures that the memory ledger counts already.
  [[nodiscard]] Bytes bytes() const;

 private:
  using Steady = std::chrono::steady_clock;
  using Bins = std::map<Bin, BinQueue>;  // never empty queues
  struct Choice {
    Bins::iterator bin;
    std::size_t most = 1;
    bool is_aged = false;
  };

  void insert(Tile tile);
  void count_in(const Tile& tile);
  void count_out(const Tile& tile);
  [[nodiscard]] bool goes_before(const BinQueue& a, const BinQueue& b) const;
  /// The best bin, of those that fill a batch if `request` is given; bins_.end() when there is none.
  [[nodiscard]] Bins::iterator best_bin(const PullRequest* request);
  /// What goes out now. Otherwise nullopt and, when an idle device waits for company, until when.
  [[nodiscard]] std::optional<Choice> choose(const PullRequest& request, std::optional<Steady::time_point>& company_until);
  [[nodiscard]] Batch take(const Choice& choice, std::vector<Tile>& dropped);

  const std::size_t capacity_;
  mutable std::mutex mutex_;
  std::condition_variable room_;
  std::condition_variable filled_;
  Bins bins_;
  ClientAccounts accounts_;
  std::uint64_t arrived_ = 0;          ///< tiles so far
  int batches_since_aged_ = 0;         ///< without those that started with a preview
  std::size_t waiting_ = 0;            ///< all tiles
  std::size_t waiting_full_pass_ = 0;  ///< without previews: what the capacity counts
  Bytes bytes_;
  bool closed_ = false;
};

}  // namespace retouchd::queue
