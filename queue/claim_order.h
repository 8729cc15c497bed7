#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "queue/job.h"
#include "queue/job_store.h"
#include "queue/sqlite_database.h"

namespace retouchd::queue {

/// Which ready job is claimed next: higher priority, then earlier deadline, then the origin that got least so far, then the
/// oldest. Every eighth claim takes the oldest ready job whatever its priority, so that none waits for ever.
///
///     job_ready   priority deadline origin id          the best priority and deadline: one seek; then
///                 5        none     watch:a 17  <-     one seek for each origin's oldest job, ...
///                                           18
///                                   zmq     12  <-     ... and of these the origin's that got least
///                 0        none     zmq      3
///
/// Fair over origins by start-time fair queueing in source bytes: a job costs its file's size, at least 256 KiB (a small file
/// keeps the pipeline busy too); a newcomer starts where the least active origin is. What each got is kept in memory: a restart
/// forgets it.
///
/// A choice costs a few seeks per origin however many jobs wait; at most 64 origins are looked at, the next 64 the next time.
/// Confined to the thread that uses the connection. Throws SqliteError.
class ClaimOrder {
 public:
  static constexpr std::uint64_t kLeastCost = 256 << 10;
  static constexpr int kAgedTurn = 8;
  static constexpr int kMostOrigins = 64;

  explicit ClaimOrder(Database& database);

  struct Candidate {
    JobId id = 0;
    std::string origin;
    std::uint64_t size = 0;  ///< of its source
    bool by_age = false;     ///< it was the oldest one's turn
  };
  /// The next one that `request` allows; its count and running are the caller's business. Requests that leave jobs out do not get
  /// the turn of the oldest one; it stays due.
  [[nodiscard]] std::optional<Candidate> next(const ClaimRequest& request);
  /// It was claimed: its origin got that much. (When the transaction is undone afterwards, the account is wrong by that job.)
  void claimed(const Candidate& candidate);

 private:
  using Heads = std::vector<Candidate>;  // each origin's best job
  [[nodiscard]] std::optional<Candidate> oldest();
  [[nodiscard]] Heads heads_of_best_rank(std::uint64_t largest_file);
  [[nodiscard]] Heads heads_of_other_origins(const ClaimRequest& request);
  /// Up to kMostOrigins heads: `seek(origin)` gives the first one whose origin is not before `origin`.
  template <class Seek>
  [[nodiscard]] Heads gather(Seek seek);
  [[nodiscard]] std::uint64_t level(const std::string& origin) const;

  /// The same questions to the index of all ready jobs and to that of those with small files.
  struct Index {
    Statement rank, head;
  };
  Index all_;
  Index small_;
  Statement oldest_, origin_;

  int claims_since_oldest_ = 0;
  std::string first_origin_;                               // where the next look begins, when there are too many for one
  std::unordered_map<std::string, std::uint64_t> levels_;  // bytes, from where it began
  std::uint64_t level_ = 0;                                // of the origin that was served last
};

}  // namespace retouchd::queue
