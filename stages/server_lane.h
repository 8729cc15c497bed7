#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "inference/network_info.h"
#include "queue/bounded_queue.h"
#include "queue/tile_scheduler.h"
#include "stages/device_pool.h"
#include "stages/device_worker.h"
#include "stages/observer.h"
#include "stages/outcomes.h"
#include "stages/picture_run.h"
#include "stages/route_policy.h"
#include "stages/settings.h"
#include "stages/stage_threads.h"
#include "stages/tile.h"

namespace retouchd::stages {

/// A model server that pictures are escalated to: devices like those here, and who keeps account of it.
struct ServerAccess {
  DevicePool* devices = nullptr;  ///< never null
  /// The network that the server uses for jobs that ask for this one.
  std::function<Result<inference::NetworkInfo>(const std::string& network)> describe;
  std::function<void()> succeeded;  ///< with a picture
  std::function<void()> failed;
};

/// The way of pictures whose tiles are restored by a model server: a scheduler and workers of their own, so that a slow link
/// holds up nothing here; merge and encode are shared.
///
///   route -> plan() ... in() -> tile -> [scheduler] -> infer (over the network) -> merge
///
/// When the server fails a picture, it goes back to the queue with the fallback as its decision.
/// Threads: plan() and in() by any.
class ServerLane {
 public:
  /// With the fallback `queue`: how long a picture waits before it is tried again.
  static constexpr std::chrono::seconds kPause{30};

  struct Options {
    DeviceWorker::Options worker;
    std::filesystem::path unfinished;
    std::size_t pictures = 4;  ///< that may wait in front of it
    std::size_t tiles = 8192;
    int largest_tile = 512;
    Bytes memory;  ///< for tensors of one picture
  };
  struct Surroundings {
    const SettingsCell& settings;
    queue::BoundedQueue<RestoredTile>& merge;
    queue::BoundedQueue<RunPtr>& finished;
    TileLogWriter& log_writer;
    PipelineObserver& observer;
    Outcomes& outcomes;
    queue::JobStore& store;
    ProgressListener progress;
    const Clock& clock;
  };

  ServerLane(Options options, ServerAccess access, const Surroundings& with);

  /// Replaces the run's network and plan by the server's. Errors: the server does not answer, or its network does not fit.
  [[nodiscard]] Result<void> plan(PictureRun& run);

  [[nodiscard]] queue::BoundedQueue<RunPtr>& in() noexcept { return in_; }
  void start(StageThreads& threads);
  void drop_abandoned() { scheduler_.drop_abandoned(); }
  void close();
  void stop();
  [[nodiscard]] const std::vector<std::unique_ptr<DeviceWorker>>& workers() const noexcept { return workers_; }

 private:
  void failed(PictureRun& run, const Error& error);

  const Options options_;
  const ServerAccess access_;
  const Surroundings with_;
  queue::BoundedQueue<RunPtr> in_;
  queue::TileScheduler scheduler_;
  Tile tile_;
  std::vector<std::unique_ptr<DeviceWorker>> workers_;
};

}  // namespace retouchd::stages
