#include "stages/device_worker.h"

#include <spdlog/spdlog.h>

namespace retouchd::stages {
namespace {

/// How finely idle time is put down to its causes, and how often an idle device shows that it lives.
constexpr std::chrono::milliseconds kIdleSlice{250};

}  // namespace

DeviceWorker::DeviceWorker(DeviceGate& gate, Options options, queue::TileScheduler& scheduler,
                           queue::BoundedQueue<RestoredTile>& merge, PipelineObserver& observer,
                           std::function<StarvedCause()> why_idle)
    : gate_(gate),
      options_(options),
      scheduler_(scheduler),
      merge_(merge),
      observer_(observer),
      why_idle_(std::move(why_idle)),
      last_alive_(std::chrono::steady_clock::now()) {}

void DeviceWorker::wait_for_work() {
  bool is_ready = false;
  while (!is_ready) {
    const auto since = std::chrono::steady_clock::now();
    const StarvedCause cause = why_idle_();
    is_ready = scheduler_.wait_for_work(kIdleSlice);
    observer_.device_starved(device().name(), cause, std::chrono::steady_clock::now() - since);
    note_alive();
  }
}

void DeviceWorker::run() {
  Infer infer(gate_, options_.batch, observer_);
  while (true) {
    wait_for_work();
    auto batch = scheduler_.pop(options_.batch, options_.max_wait);
    if (!batch) return;
    auto tiles = infer.process(std::move(*batch));
    up_.store(tiles.ok());
    if (!tiles) {
      spdlog::error("{}", tiles.error().message);
      continue;
    }
    note_alive();
    for (RestoredTile& tile : *tiles) {
      if (!merge_.push(tile)) return;
    }
  }
}

}  // namespace retouchd::stages
