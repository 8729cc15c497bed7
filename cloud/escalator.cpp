#include "cloud/escalator.h"

#include <pthread.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "cloud/courier.h"
#include "cloud/edge_id.h"

namespace retouchd::cloud {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kIdleLook{1'000};
constexpr milliseconds kAfterException{5'000};

std::thread named(const char* name, std::function<void()> body) {
  std::thread thread(std::move(body));
  pthread_setname_np(thread.native_handle(), name);
  return thread;
}

}  // namespace

struct Escalator::State {
  State(EscalatorOptions options, queue::JobStore& store, image::FileCodec& codec, Gate& gate, EscalatorHooks hooks,
        const Clock& clock)
      : parallel(std::max(1, options.cloud.parallel)),
        dispatch{.options = options,
                 .hooks = std::move(hooks),
                 .store = store,
                 .codec = codec,
                 .gate = gate,
                 .clock = clock,
                 .list = EscalationList(clock),
                 .retries = RetryBudget(clock),
                 .files = ReturnedFiles(options.state_dir / "escalated"),
                 .edge = {},
                 .packing = std::binary_semaphore(1),
                 .settings_mutex = {},
                 .settings = {options.cloud, options.connect, 0}} {}

  Result<void> list_escalated();
  void work();
  void supervise();
  void remove_unwanted();
  void probe(NodeClient& client);
  void wake();

  int parallel;
  Dispatch dispatch;
  std::vector<std::thread> threads;
  std::mutex mutex;
  std::condition_variable woken;
  std::vector<queue::JobId> unwanted;  ///< whose files go
  std::set<queue::JobId> with_files;   ///< jobs that may have any: others cost no look into the folder
  bool is_woken = false;
};

Escalator::Escalator(EscalatorOptions options, queue::JobStore& store, image::FileCodec& codec, Gate& gate, EscalatorHooks hooks,
                     const Clock& clock)
    : state_(std::make_unique<State>(std::move(options), store, codec, gate, std::move(hooks), clock)) {}

Escalator::~Escalator() { stop(); }

Result<void> Escalator::start() {
  auto& dispatch = state_->dispatch;
  auto edge = edge_id(dispatch.options.state_dir);
  if (!edge) return edge.error();
  dispatch.edge = std::move(*edge);
  if (auto made = dispatch.files.prepare(); !made) return made;
  if (auto swept = sweep(); !swept) return swept;
  if (auto listed = state_->list_escalated(); !listed) return listed;
  for (int i = 0; i < state_->parallel; ++i) state_->threads.push_back(named("courier", [this] { state_->work(); }));
  state_->threads.push_back(named("escalator", [this] { state_->supervise(); }));
  return {};
}

void Escalator::stop() {
  state_->dispatch.list.close();
  state_->wake();
  for (auto& thread : state_->threads) thread.join();
  state_->threads.clear();
}

void Escalator::on_events(const std::vector<queue::JobEvent>& events) {
  for (const auto& event : events) {
    if (event.kind == "escalated") {
      {
        const std::lock_guard lock(state_->mutex);
        state_->with_files.insert(event.job);
      }
      state_->dispatch.list.add(event.job, false);
    } else if (event.kind == "cancelled" || event.kind == "done" || event.kind == "failed") {
      if (event.kind == "cancelled") state_->dispatch.list.cancel(event.job);
      remove_returned(event.job);
    }
  }
}

void Escalator::configure(const config::Cloud& cloud, Connect connect) {
  const std::lock_guard lock(state_->dispatch.settings_mutex);
  auto& settings = state_->dispatch.settings;
  settings = {cloud, std::move(connect), settings.version + 1};
}

void Escalator::remove_returned(queue::JobId job) {
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->with_files.erase(job) == 0) return;
    state_->unwanted.push_back(job);
  }
  state_->wake();
}

Result<void> Escalator::sweep() { return state_->dispatch.files.sweep(state_->dispatch.store); }

Result<void> Escalator::State::list_escalated() {
  queue::JobStore::Filter filter;
  filter.state = queue::JobState::kEscalated;
  filter.limit = 1'000;
  std::set<queue::JobId> found = dispatch.files.jobs();
  std::size_t count = 0;
  while (true) {
    const auto jobs = dispatch.store.list(filter);
    if (!jobs) return jobs.error();
    if (jobs->empty()) break;
    count += jobs->size();
    for (const auto& job : *jobs) {
      dispatch.list.add(job.id, true);
      found.insert(job.id);
    }
    filter.after = jobs->back().id;
  }
  if (count > 0) spdlog::info("{} jobs are escalated; going on with them", count);
  const std::lock_guard lock(mutex);
  with_files.merge(found);
  return {};
}

void Escalator::State::work() {
  Courier courier(dispatch);
  while (!dispatch.list.is_closed()) {
    const auto is_there = [this] { return dispatch.gate.breaker() == BreakerState::kClosed; };
    Escalation* escalation = dispatch.list.take(dispatch.options.tick, is_there);
    if (escalation == nullptr) continue;
    bool is_settled = false;
    try {
      is_settled = courier.attend(*escalation);
    } catch (const std::exception& error) {
      spdlog::error("job {}: {}", escalation->job, error.what());
      escalation->not_before = dispatch.clock.steady_now() + kAfterException;
    }
    if (is_settled) {
      dispatch.list.remove(*escalation);
    } else {
      dispatch.list.put_back(*escalation);
    }
  }
}

void Escalator::State::supervise() {
  std::unique_ptr<NodeClient> client;
  int version = -1;
  while (!dispatch.list.is_closed()) {
    {
      const bool is_busy = !dispatch.list.empty() || dispatch.gate.breaker() != BreakerState::kClosed;
      std::unique_lock lock(mutex);
      woken.wait_for(lock, is_busy ? dispatch.options.tick : kIdleLook, [this] { return is_woken; });
      is_woken = false;
    }
    remove_unwanted();
    if (dispatch.list.is_closed() || dispatch.gate.breaker() != BreakerState::kHalfOpen) continue;
    const auto settings = dispatch.current();
    if (settings.cloud.node.empty() || !dispatch.gate.begin_probe()) continue;
    if (version != settings.version) {
      client = std::make_unique<NodeClient>(settings.connect, dispatch.timing(settings), dispatch.gate, dispatch.retries,
                                            dispatch.clock);
      version = settings.version;
    }
    probe(*client);
  }
}

void Escalator::State::probe(NodeClient& client) {
  TripWatch watch;
  watch.pause = [this](milliseconds) { return !dispatch.list.is_closed(); };
  watch.transferred = dispatch.hooks.transferred;
  (void)client.ping(watch);
}

void Escalator::State::remove_unwanted() {
  std::vector<queue::JobId> jobs;
  {
    const std::lock_guard lock(mutex);
    jobs.swap(unwanted);
  }
  for (const auto job : jobs) dispatch.files.remove(job);
}

void Escalator::State::wake() {
  {
    const std::lock_guard lock(mutex);
    is_woken = true;
  }
  woken.notify_one();
}

}  // namespace retouchd::cloud
