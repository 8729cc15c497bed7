#include "stages/device_worker.h"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace retouchd::stages {
namespace {

using std::chrono::steady_clock;
using Phase = DeviceMeter::Phase;

/// How often a device without work accounts for its time. Work wakes it at once.
constexpr std::chrono::milliseconds kReport{250};
/// How finely a lost device waits for its next question.
constexpr std::chrono::milliseconds kSlice{50};

/// One more where a call waits for others to compute.
std::size_t slots_of(const inference::Device& device) {
  const int calls = std::max(1, device.concurrency());
  return static_cast<std::size_t>(calls > device.compute_lanes() ? calls + 1 : calls);
}

}  // namespace

DeviceWorker::DeviceWorker(DevicePool& pool, DevicePool::Member& member, const Options& options, queue::TileScheduler& scheduler,
                           queue::BoundedQueue<RestoredTile>& merge, PipelineObserver& observer, Hooks hooks)
    : pool_(pool),
      member_(member),
      options_(options),
      scheduler_(scheduler),
      merge_(merge),
      observer_(observer),
      hooks_(std::move(hooks)),
      slots_(slots_of(*member.device)),
      meter_({member.device->name(), slots_, static_cast<std::size_t>(std::max(1, member.device->compute_lanes()))}, observer,
             hooks_.why_idle),
      busy_at_(steady_clock::now()) {}

queue::PullRequest DeviceWorker::request(bool only_previews) {
  return {[this](const queue::Bin& bin) { return member_.most(bin); }, options_.max_wait, [this] { return meter_.is_idle(); },
          only_previews};
}

void DeviceWorker::run(std::size_t slot) {
  Infer infer(member_, options_.has_static_batches, observer_,
              [this, slot](bool begins) { meter_.enter(slot, begins ? Phase::kComputing : Phase::kCopying); });
  const bool is_extra = static_cast<int>(slot) >= member_.device->concurrency();
  const queue::PullRequest wanted = request(is_extra);
  while (!scheduler_.is_drained()) {
    if (!member_.is_up.load()) wait_until_up(slot);
    auto batch = scheduler_.pull(wanted, kReport);
    if (!batch) {
      rest(slot);
      continue;
    }
    meter_.enter(slot, Phase::kCopying);
    busy_at_.store(steady_clock::now());
    gave_back_.store(false);
    hooks_.pulled();
    const inference::NetworkInfo network = static_cast<TiledPass&>(*batch->tiles.front().owner).network();
    Infer::Outcome outcome = infer.process(std::move(*batch));
    if (!outcome.handed_back.empty()) lose(outcome.error, network);
    if (!deliver(slot, std::move(outcome))) return;
  }
}

bool DeviceWorker::deliver(std::size_t slot, Infer::Outcome outcome) {
  meter_.enter(slot, Phase::kHandingOver);
  scheduler_.kick();  // this device may be idle now
  std::vector<queue::Tile> again;
  for (queue::Tile& tile : outcome.handed_back) {
    if (tile.failures < Infer::kMostFailures) {
      again.push_back(std::move(tile));
    } else {
      static_cast<TiledPass&>(*tile.owner).fail(make_error(ErrorCode::kDeviceFailed, outcome.error));
    }
  }
  if (!again.empty()) scheduler_.put_back(std::move(again));
  for (RestoredTile& tile : outcome.tiles) {
    if (!merge_.push(tile)) return false;
  }
  meter_.enter(slot, Phase::kWaiting);
  return true;
}

void DeviceWorker::rest(std::size_t slot) {
  meter_.report();
  if (slot != 0 || steady_clock::now() - busy_at_.load() < options_.give_back || gave_back_.exchange(true)) return;
  member_.gate.give_back_memory();
}

void DeviceWorker::lose(const std::string& error, const inference::NetworkInfo& network) {
  const std::lock_guard lock(mutex_);
  error_ = error;
  probed_with_ = network;
  if (!member_.is_up.exchange(false)) return;
  spdlog::error("{} does not answer and is taken out: {}", member_.device->name(), error);
  observer_.device_up(member_.device->name(), false);
}

void DeviceWorker::wait_until_up(std::size_t slot) {
  const auto lost_at = steady_clock::now();
  auto pause = options_.first_probe;
  auto ask_at = lost_at + pause;
  std::unique_lock lock(mutex_);
  while (!member_.is_up.load() && !stopped_) {
    changed_.wait_for(lock, kSlice, [this] { return stopped_ || member_.is_up.load(); });
    meter_.skip();
    if (slot != 0 || stopped_ || steady_clock::now() < ask_at) continue;
    lock.unlock();
    probe();
    if (!pool_.any_up() && steady_clock::now() - lost_at > options_.hopeless) fail_waiting_tiles();
    lock.lock();
    pause = std::min(2 * pause, options_.longest_probe);
    ask_at = steady_clock::now() + pause;
  }
}

void DeviceWorker::probe() {
  inference::NetworkInfo network;
  {
    const std::lock_guard lock(mutex_);
    network = probed_with_;
  }
  const auto answered = member_.gate.probe(network);
  const std::lock_guard lock(mutex_);
  if (!answered) {
    error_ = answered.error().message;
    return;
  }
  spdlog::info("{} answers again", member_.device->name());
  member_.is_up.store(true);
  observer_.device_up(member_.device->name(), true);
  changed_.notify_all();
}

void DeviceWorker::fail_waiting_tiles() {
  std::string error;
  {
    const std::lock_guard lock(mutex_);
    error = error_;
  }
  while (auto batch = scheduler_.pull(request(), std::chrono::milliseconds(0))) {
    for (const queue::Tile& tile : batch->tiles) {
      static_cast<TiledPass&>(*tile.owner).fail(make_error(ErrorCode::kDeviceFailed, "no device answers: " + error));
    }
    scheduler_.drop_abandoned();
  }
}

void DeviceWorker::stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  changed_.notify_all();
}

}  // namespace retouchd::stages
