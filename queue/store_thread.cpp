#include "queue/store_thread.h"

#include <pthread.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <utility>

namespace retouchd::queue {
namespace {

constexpr std::size_t kGroup = 64;
constexpr std::size_t kWaitingAccepts = 4096;
constexpr int kCheckpointPages = 1000;

}  // namespace

StoreThread::StoreThread(std::unique_ptr<Database> database, std::filesystem::path file,
                         std::unique_ptr<JobTransitions> transitions, std::vector<JobEvent> recovered,
                         const JobStore::Counts& counts, StoreObserver observer)
    : file_(std::move(file)),
      observer_(std::move(observer)),
      database_(std::move(database)),
      transitions_(std::move(transitions)),
      undelivered_(std::move(recovered)),
      counts_(counts),
      thread_([this] { serve(); }) {
  pthread_setname_np(thread_.native_handle(), "store");
}

StoreThread::~StoreThread() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void StoreThread::post(Call call) {
  {
    const std::lock_guard lock(mutex_);
    urgent_.push_back(std::move(call));
  }
  wake_.notify_one();
}

bool StoreThread::post_accept(Call call) {
  {
    const std::lock_guard lock(mutex_);
    if (accepts_.size() >= kWaitingAccepts) return false;
    accepts_.push_back(std::move(call));
  }
  wake_.notify_one();
  return true;
}

void StoreThread::set_listener(Listener listener) {
  {
    const std::lock_guard lock(mutex_);
    listener_ = std::move(listener);
  }
  // An empty call: what opening recovered is then delivered on the store's own thread, before anything newer.
  post({[](JobTransitions&) {}, [](const Error*) {}});
}

JobStore::Counts StoreThread::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

void StoreThread::serve() {
  while (true) {
    std::vector<Call> calls = wait_for_calls();
    if (calls.empty()) return;
    run_group(calls, 0, calls.size());
    checkpoint_when_due();
  }
}

std::vector<StoreThread::Call> StoreThread::wait_for_calls() {
  std::unique_lock lock(mutex_);
  wake_.wait(lock, [this] { return stopping_ || !urgent_.empty() || !accepts_.empty(); });
  std::vector<Call> calls;
  // Claims and completions go first: they keep the pipeline busy, and a burst of accepts must not hold them up.
  for (auto* waiting : {&urgent_, &accepts_}) {
    while (!waiting->empty() && calls.size() < kGroup) {
      calls.push_back(std::move(waiting->front()));
      waiting->pop_front();
    }
  }
  return calls;
}

void StoreThread::run_group(std::vector<Call>& calls, std::size_t first, std::size_t count) {
  bool one_by_one = false;
  const auto failure = try_group(calls, first, count, one_by_one);
  if (one_by_one) {
    for (std::size_t i = 0; i < count; ++i) run_group(calls, first + i, 1);
    return;
  }
  auto changes = transitions_->take_changes();
  if (failure) {
    changes = {};
  } else {
    const std::lock_guard lock(mutex_);
    for (std::size_t state = 0; state < counts_.size(); ++state) counts_[state] += changes.counts[state];
  }
  for (std::size_t i = first; i < first + count; ++i) {
    try {
      calls[i].finish(failure ? &*failure : nullptr);
    } catch (const std::exception& exception) {
      spdlog::error("an answer of the job store was not taken: {}", exception.what());
    }
  }
  publish(changes);
}

std::optional<Error> StoreThread::try_group(std::vector<Call>& calls, std::size_t first, std::size_t count, bool& one_by_one) {
  if (broken_) return broken_;
  std::optional<Error> failure;
  const auto start = std::chrono::steady_clock::now();
  try {
    database_->execute("BEGIN IMMEDIATE");
    for (std::size_t i = first; i < first + count; ++i) calls[i].run(*transitions_);
    database_->execute("COMMIT");
  } catch (const SqliteError& sqlite) {
    failure = error_from(sqlite, file_);
    one_by_one = count > 1 && !sqlite.is_storage_failure();
    if (sqlite.is_lasting()) {
      give_up(*failure);
    } else if (observer_.failed) {
      observer_.failed(*failure, false);
    }
  } catch (const std::exception& exception) {
    failure = make_error(ErrorCode::kInternal, std::string("the job store: ") + exception.what());
    one_by_one = count > 1;
  }
  if (failure) {
    undo();
  } else if (observer_.committed) {  // outside of the try: whatever it does, the commit stands
    observer_.committed(std::chrono::steady_clock::now() - start);
  }
  return failure;
}

void StoreThread::undo() noexcept {
  transitions_->forget_changes();
  try {
    if (database_->in_transaction()) database_->execute("ROLLBACK");
  } catch (const std::exception& exception) {
    spdlog::error("the job store {} could not undo a transaction: {}", file_.string(), exception.what());
  }
}

void StoreThread::publish(const JobTransitions::Changes& changes) {
  Listener listener;
  std::vector<JobEvent> earlier;
  {
    const std::lock_guard lock(mutex_);
    if (!listener_) return;
    listener = listener_;
    earlier = std::exchange(undelivered_, {});
  }
  try {
    if (!earlier.empty()) listener(earlier);
    if (!changes.events.empty()) listener(changes.events);
  } catch (const std::exception& exception) {
    spdlog::error("a listener of the job store failed: {}", exception.what());
  }
}

void StoreThread::checkpoint_when_due() {
  if (broken_ || database_->log_pages() < kCheckpointPages) return;
  try {
    database_->checkpoint();
  } catch (const SqliteError& sqlite) {
    const Error failure = error_from(sqlite, file_);
    spdlog::error("checkpoint: {}", failure.message);
    if (sqlite.is_lasting()) give_up(failure);
  }
}

void StoreThread::give_up(const Error& failure) noexcept {
  // Never sync again: the kernel has dropped the pages that could not be written, and a second fsync would say "fine".
  broken_ = failure;
  database_->keep_log();
  spdlog::critical("{}", failure.message);
  if (observer_.failed) observer_.failed(failure, true);
}

}  // namespace retouchd::queue
