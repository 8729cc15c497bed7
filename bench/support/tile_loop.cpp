#include "bench/support/tile_loop.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "bench/support/daemon_core.h"
#include "stages/device_worker.h"
#include "stages/merge.h"
#include "stages/tile_plan.h"

namespace retouchd::bench {
namespace {

using Seconds = std::chrono::duration<double>;

/// Tiles that wait for the device while it works.
constexpr std::size_t kAhead = 256;

}  // namespace

TileLoop::TileLoop(stages::DevicePool& devices, const inference::NetworkInfo& network, int largest_tile,
                   const std::vector<cv::Mat>& pictures)
    : devices_(devices), network_(network), largest_tile_(largest_tile), pictures_(pictures) {
  const std::size_t most = devices.members().front()->batch;
  std::map<std::pair<int, int>, Batch> open;
  for (const cv::Mat& picture : pictures_) {
    const stages::TilePlan plan = stages::plan_best_tiles(picture.size(), network, largest_tile);
    Batch& batch = open[{plan.tile.width, plan.tile.height}];
    batch.tensor = plan.tile;
    for (int i = 0; i < plan.count(); ++i) {
      batch.windows.push_back({picture(plan.at(i).window), {}, plan.is_feathered ? CV_32F : picture.depth()});
      ++tiles_;
      if (batch.windows.size() < most) continue;
      batches_.push_back(batch);
      batch.windows.clear();
    }
  }
  for (const auto& [size, batch] : open) {
    if (!batch.windows.empty()) batches_.push_back(batch);
  }
}

double TileLoop::run_bare() {
  const auto start = std::chrono::steady_clock::now();
  std::atomic<std::size_t> next = 0;
  std::vector<std::jthread> threads;
  for (const auto& member : devices_.members()) {
    for (int i = 0; i < member->device->concurrency(); ++i) {
      threads.emplace_back([this, &next, gate = &member->gate] {
        for (std::size_t n = next++; n < batches_.size(); n = next++) {
          const auto restored = gate->restore(network_, batches_[n].tensor, batches_[n].windows);
          if (!restored) give_up(restored.error());
        }
      });
    }
  }
  threads.clear();
  return Seconds(std::chrono::steady_clock::now() - start).count();
}

double TileLoop::run_stages(stages::PipelineObserver& observer) {
  queue::TileScheduler scheduler(kAhead);
  queue::BoundedQueue<stages::RestoredTile> merge_queue("merge", 2 * devices_.tiles_at_once());
  stages::Merge merge(observer);
  std::vector<std::unique_ptr<stages::DeviceWorker>> workers;
  std::vector<std::jthread> threads;
  threads.emplace_back([&] {
    while (const auto tile = merge_queue.pop()) merge.process(*tile);
  });
  for (const auto& member : devices_.members()) {
    workers.push_back(std::make_unique<stages::DeviceWorker>(
        devices_, *member, stages::DeviceWorker::Options{}, scheduler, merge_queue, observer,
        stages::DeviceWorker::Hooks{[] { return stages::StarvedCause::kDecode; }, [] {}}));
    for (std::size_t slot = 0; slot < workers.back()->slots(); ++slot)
      threads.emplace_back([worker = workers.back().get(), slot] { worker->run(slot); });
  }

  std::mutex mutex;
  std::condition_variable finished;
  std::size_t left = pictures_.size();
  const auto start = std::chrono::steady_clock::now();
  for (const cv::Mat& picture : pictures_) {
    auto run = std::make_shared<stages::PictureRun>(queue::Job{});
    run->network = network_;
    stages::TiledPass::Ends ends;
    ends.complete = [&](const cv::Mat&) {
      const std::lock_guard lock(mutex);
      --left;
      finished.notify_all();
    };
    ends.failed = [](const Error& error) { give_up(error); };
    const auto pass = std::make_shared<stages::TiledPass>(
        run, picture, cv::Mat(), stages::plan_best_tiles(picture.size(), network_, largest_tile_), false, std::move(ends));
    (void)stages::TiledPass::push_tiles(pass, scheduler);
  }
  {
    std::unique_lock lock(mutex);
    finished.wait(lock, [&] { return left == 0; });
  }
  const double seconds = Seconds(std::chrono::steady_clock::now() - start).count();
  scheduler.close();
  merge_queue.close();
  for (const auto& worker : workers) worker->stop();
  return seconds;
}

}  // namespace retouchd::bench
