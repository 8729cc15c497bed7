#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>

#include "base/clock.h"
#include "intake/inbox.h"
#include "queue/job_store.h"

namespace retouchd::intake {

/// A bounded set of idempotency keys that forgets the oldest. Confined to one thread.
class RecentKeys {
 public:
  static constexpr std::size_t kCapacity = 100'000;

  void insert(const std::string& key);
  [[nodiscard]] bool contains(const std::string& key) const;

 private:
  std::array<std::unordered_set<std::size_t>, 2> generations_;  ///< hashes; the second is the older half
};

/// Hands the jobs of one watched folder to the store without waiting for each, holding back when too many are on the way or the
/// store cannot take more (queue full, disk full): 1 s, doubling to 30 s.
///
/// Confined to the strand of its inbox; the store may answer from any thread. Owned by a shared_ptr: answers may outlive the
/// owner.
class JobSubmitter : public std::enable_shared_from_this<JobSubmitter> {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  enum class Standing { kNew, kKnown, kUnclear };
  struct Lookup {
    Standing standing = Standing::kNew;
    std::optional<queue::Job> job;  ///< of a known key, the first time it is looked up
  };

  struct Answer {
    std::string name;    ///< of the request
    bool again = false;  ///< the store could not take it now
  };

  JobSubmitter(queue::JobStore& store, std::shared_ptr<Inbox> inbox, const Clock& clock, std::string watch, int limit,
               std::function<void(const Answer&)> answered);

  /// Was this version of a file made a job before? One indexed read, or none. kUnclear: the store failed; holds back for a while.
  [[nodiscard]] Lookup look_up(const std::string& key);

  /// False while holding back.
  [[nodiscard]] bool ready() const;
  /// When to ask again; nullopt when an answer will come first, or when ready.
  [[nodiscard]] std::optional<TimePoint> held_until() const;

  void submit(queue::JobRequest request);
  /// Answers are no longer passed on.
  void abandon() { answered_ = nullptr; }

  [[nodiscard]] int outstanding() const { return outstanding_; }
  [[nodiscard]] std::uint64_t accepted() const { return accepted_; }
  [[nodiscard]] std::uint64_t duplicates() const { return duplicates_; }

 private:
  void take_answer(const std::string& key, const std::string& name, const Result<queue::JobStore::Accepted>& result);
  void hold_back(const Error& error);

  queue::JobStore& store_;
  std::shared_ptr<Inbox> inbox_;
  const Clock& clock_;
  std::string watch_;
  int limit_;
  std::function<void(const Answer&)> answered_;
  RecentKeys known_;
  int outstanding_ = 0;
  std::chrono::milliseconds hold_{0};
  TimePoint held_until_{};
  std::uint64_t accepted_ = 0;
  std::uint64_t duplicates_ = 0;
};

}  // namespace retouchd::intake
