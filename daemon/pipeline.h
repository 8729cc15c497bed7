#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "daemon/status_source.h"
#include "inference/registry.h"
#include "queue/bounded_queue.h"
#include "queue/job_store.h"
#include "queue/memory_ledger.h"
#include "queue/publisher.h"
#include "queue/tile_scheduler.h"
#include "stages/claimer.h"
#include "stages/decode.h"
#include "stages/device_pool.h"
#include "stages/device_worker.h"
#include "stages/encode.h"
#include "stages/levels.h"
#include "stages/merge.h"
#include "stages/observer.h"
#include "stages/outcomes.h"
#include "stages/preview.h"
#include "stages/route.h"
#include "stages/runs_in_flight.h"
#include "stages/score.h"
#include "stages/server_lane.h"
#include "stages/settings.h"
#include "stages/stage_threads.h"
#include "stages/tile.h"
#include "stages/tile_log_writer.h"

namespace retouchd::daemon {

struct PipelineOptions {
  stages::Settings settings;
  stages::RetryPolicy retry;
  std::filesystem::path previews;       ///< folder
  std::filesystem::path unfinished;     ///< folder: finished tiles of unfinished pictures
  Bytes memory;                         ///< for pictures in flight
  Bytes for_batch;                      ///< beside that: for the weights of the default network and batches of its tiles
  Bytes tiles_to_keep = mebibytes(32);  ///< beside that: finished tiles of long pictures that wait for the disk
  int largest_tile = 512;
  std::chrono::milliseconds max_wait{5};
  std::chrono::seconds give_back{30};           ///< a device idle for so long gives memory back
  stages::DeviceWorker::Options server_worker;  ///< of the model server
  int decode_threads = 1;
  int encode_threads = 1;
};

/// Every stage, every queue, and the threads between them; pipeline.cpp shows all of it on one page.
///
/// Threads: start(), drain() and the destructor by the owner; everything else by any.
class Pipeline {
 public:
  /// What the pipeline works with; all of it must outlive it. The devices are used through their gates alone.
  struct Surroundings {
    queue::JobStore& store;
    image::FileCodec& codec;
    const inference::Registry& networks;
    stages::DevicePool& devices;
    stages::PipelineObserver& observer;
    const Clock& clock;
    stages::ProgressListener progress;
    std::optional<stages::Node> node{};            ///< that pictures are escalated to
    std::optional<stages::ServerAccess> server{};  ///< when that is a model server
  };

  Pipeline(const PipelineOptions& options, const Surroundings& surroundings);
  ~Pipeline();

  void start();

  /// Claims nothing more, finishes what is in flight until `until`, hands the rest back to the store, and joins all threads.
  void drain(std::chrono::steady_clock::time_point until);

  /// From the job store's listener: new jobs and requests for cancellation.
  void on_events(const std::vector<queue::JobEvent>& events);

  void set_settings(const stages::Settings& settings) { settings_.set(settings); }
  void set_retry(const stages::RetryPolicy& policy) { outcomes_.set_policy(policy); }

  [[nodiscard]] std::vector<QueueSnapshot> queues() const;
  [[nodiscard]] std::vector<DeviceSnapshot> devices() const;
  [[nodiscard]] std::map<std::string, queue::TileScheduler::Share> shares() const { return to_infer_.shares(); }
  /// Jobs in flight, the oldest first.
  [[nodiscard]] std::vector<stages::RunPtr> runs() const { return in_flight_.all(); }
  [[nodiscard]] bool any_device_up() const noexcept { return devices_.any_up(); }
  [[nodiscard]] Bytes memory_budget() const noexcept { return memory_.capacity(); }
  [[nodiscard]] Bytes memory_reserved() const { return memory_.reserved(); }
  [[nodiscard]] std::size_t in_flight() const { return in_flight_.count(); }

 private:
  template <class Stage>
  void run(Stage& stage, int threads, queue::BoundedQueue<stages::RunPtr>& in, stages::NextQueue next);
  void start_devices();
  [[nodiscard]] queue::BoundedQueue<stages::RunPtr>* after_route(const stages::PictureRun& run);
  [[nodiscard]] queue::BoundedQueue<stages::RunPtr>* after_levels(const stages::PictureRun& run);
  void forget_ended(const std::vector<queue::JobEvent>& events);
  void sweep_unfinished();
  [[nodiscard]] stages::StarvedCause why_idle() const;
  /// Whether the devices could run dry before another picture's tiles are ready.
  [[nodiscard]] bool wants_more() const;

  const PipelineOptions options_;
  queue::JobStore& store_;
  stages::DevicePool& devices_;
  stages::PipelineObserver& observer_;
  stages::SettingsCell settings_;
  queue::MemoryLedger memory_;
  queue::Publisher publisher_;
  stages::RunsInFlight in_flight_;
  stages::Outcomes outcomes_;

  queue::BoundedQueue<stages::RunPtr> to_decode_;
  queue::BoundedQueue<stages::RunPtr> to_preview_;
  queue::BoundedQueue<stages::RunPtr> to_score_;
  queue::BoundedQueue<stages::RunPtr> to_route_;
  queue::BoundedQueue<stages::RunPtr> to_levels_;
  queue::BoundedQueue<stages::RunPtr> to_tile_;
  queue::TileScheduler to_infer_;
  queue::BoundedQueue<stages::RestoredTile> to_merge_;
  queue::BoundedQueue<stages::RunPtr> to_encode_;

  stages::Claimer claimer_;
  stages::Decode decode_;
  stages::Preview preview_;
  stages::Score score_;
  stages::Route route_;
  stages::Levels levels_;
  stages::TileLogWriter log_writer_;
  stages::Tile tile_;
  std::vector<std::unique_ptr<stages::DeviceWorker>> infer_;  ///< one a device
  std::unique_ptr<stages::ServerLane> server_;                ///< where pictures are escalated to a model server
  stages::Merge merge_;
  stages::Encode encode_;

  std::vector<queue::BoundedQueue<stages::RunPtr>*> run_queues_;  ///< in front of the stages before encode

  stages::StageThreads claiming_;
  stages::StageThreads threads_;
};

}  // namespace retouchd::daemon
