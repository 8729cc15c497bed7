#pragma once

#include <condition_variable>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "queue/job_store.h"
#include "queue/job_transitions.h"
#include "queue/sqlite_database.h"
#include "queue/store_observer.h"

namespace retouchd::queue {

/// The one thread that writes: takes what waits, runs it in one transaction, commits (one fsync for all of them), and only then
/// answers. Calls gather while the commit before them is being synced, so a busy store commits large groups and an idle one
/// answers at once.
///
///   post() -> [urgent] \                              / finish() of each call
///                       > group of <= 64 -> COMMIT ->
///   post_accept() ----> /                             \ listener(events)
///
/// When a statement fails the group is undone and its calls run again one by one, so that one bad call harms nobody else;
/// when the disk failed all of them get that error.
///
/// Threads: safe.
class StoreThread {
 public:
  struct Call {
    std::function<void(JobTransitions&)> run;          ///< inside the transaction; runs again when its group was undone
    std::function<void(const Error* failure)> finish;  ///< after the commit, or with the reason why there was none
  };
  using Listener = std::function<void(const std::vector<JobEvent>&)>;

  /// `recovered`: what opening has already committed; the first listener gets its events. `counts`: jobs by state now.
  StoreThread(std::unique_ptr<Database> database, std::filesystem::path file, std::unique_ptr<JobTransitions> transitions,
              std::vector<JobEvent> recovered, const JobStore::Counts& counts, StoreObserver observer);
  StoreThread(const StoreThread&) = delete;
  StoreThread& operator=(const StoreThread&) = delete;
  /// Finishes what waits.
  ~StoreThread();

  void post(Call call);
  /// False, and nothing done, when too many accepts wait.
  [[nodiscard]] bool post_accept(Call call);

  void set_listener(Listener listener);
  [[nodiscard]] JobStore::Counts counts() const;

 private:
  void serve();
  std::vector<Call> wait_for_calls();
  void run_group(std::vector<Call>& calls, std::size_t first, std::size_t count);
  std::optional<Error> try_group(std::vector<Call>& calls, std::size_t first, std::size_t count, bool& one_by_one);
  void undo() noexcept;
  void publish(const JobTransitions::Changes& changes);
  void checkpoint_when_due();
  void give_up(const Error& failure) noexcept;

  const std::filesystem::path file_;
  const StoreObserver observer_;
  std::unique_ptr<Database> database_;           // the thread's
  std::unique_ptr<JobTransitions> transitions_;  // the thread's
  std::optional<Error> broken_;                  // the thread's; why nothing can be written any more

  mutable std::mutex mutex_;  // guards the rest
  std::condition_variable wake_;
  std::deque<Call> urgent_;
  std::deque<Call> accepts_;
  Listener listener_;
  std::vector<JobEvent> undelivered_;  // until the first listener comes
  JobStore::Counts counts_;
  bool stopping_ = false;

  std::thread thread_;
};

}  // namespace retouchd::queue
