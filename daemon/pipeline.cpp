#include "daemon/pipeline.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdlib>
#include <thread>

namespace retouchd::daemon {
namespace {

/// Pictures between two stages. Short: they hold memory while they wait; what keeps the device busy are the tiles in the
/// scheduler.
constexpr std::size_t kPictures = 4;
/// Tiles that may wait for the device. They are views, so many may: that lets every picture in flight take part in the batches.
constexpr std::size_t kTiles = 8192;
/// A result that is being published at the end of a drain gets this much longer.
constexpr std::chrono::seconds kPublishingGrace{60};

/// Previews under way. Their threads mostly wait for the device, and nobody's preview should wait for a thread.
constexpr int kPreviews = 4;
constexpr int kScores = 2;
/// Pictures between their levels; they wait for the device, too.
constexpr int kLevels = 2;
/// More tiles wait than all devices take at once so many times over: no further picture is begun.
constexpr std::size_t kTilesAhead = 4;

int merge_threads() { return std::clamp(static_cast<int>(std::thread::hardware_concurrency()) / 4, 1, 4); }

}  // namespace

//   job store -> claimer -> decode -> preview -> score -> route -> tile -> [scheduler] -> infer -> merge -> encode -> job store
//                              |         |         |       |                   ^
//                              |         \_________|_______|__ small copies ___|
//                              |                           |-> levels ---------|-----------------------> tile or encode
//                              |                           |-> server lane: tile -> [scheduler] -> infer -> merge
//                              |                           |-> encode: untouched, or the preview enlarged
//                              |                           \-> job store: escalated
//                              \-> ... route -> encode: sent back by the cloud node
Pipeline::Pipeline(const PipelineOptions& options, const Surroundings& with)
    : options_(options),
      store_(with.store),
      devices_(with.devices),
      observer_(with.observer),
      settings_(options.settings),
      memory_(options.memory),
      publisher_(with.store),
      outcomes_(with.store, in_flight_, with.observer, options.retry, with.clock, [this] { claimer_.wake(); }),
      to_decode_("decode", kPictures),
      to_preview_("preview", kPictures),
      to_score_("score", kPictures),
      to_route_("route", kPictures),
      to_levels_("levels", kPictures),
      to_tile_("tile", kPictures),
      to_infer_(kTiles),
      to_merge_("merge", 2 * with.devices.tiles_at_once()),
      to_encode_("encode", kPictures),
      claimer_({[this] { return wants_more(); }}, with.store, in_flight_, outcomes_, to_infer_, to_decode_, with.clock),
      decode_({options.largest_tile, options.for_batch}, settings_, with.codec, with.networks, with.devices, memory_, with.store),
      preview_(settings_, with.codec, {options.previews, options.largest_tile}, to_infer_, with.store, with.observer, with.clock),
      score_(settings_, options.largest_tile, to_infer_),
      route_(
          settings_, with.node, [this](stages::PictureRun& run) { return server_->plan(run); }, with.store, with.observer,
          outcomes_),
      levels_(settings_, with.codec, options.previews, options.largest_tile, to_infer_, with.store, with.observer),
      log_writer_(options.tiles_to_keep),
      tile_(
          {options.unfinished}, settings_, to_infer_, to_encode_, log_writer_, with.observer,
          [this](stages::PictureRun& run, const Error& error) { outcomes_.failed(run, error); }, with.progress),
      merge_(with.observer),
      encode_(settings_, with.codec, publisher_, outcomes_) {
  const stages::DeviceWorker::Hooks hooks{[this] { return why_idle(); },
                                          [this] {
                                            if (wants_more()) claimer_.wake();
                                          }};
  stages::DeviceWorker::Options worker_options;
  worker_options.max_wait = options.max_wait;
  worker_options.has_static_batches = devices_.is_deterministic();
  worker_options.give_back = options.give_back;
  for (const auto& device : devices_.members()) {
    infer_.push_back(
        std::make_unique<stages::DeviceWorker>(devices_, *device, worker_options, to_infer_, to_merge_, observer_, hooks));
  }
  if (with.server) {
    server_ = std::make_unique<stages::ServerLane>(
        stages::ServerLane::Options{options.server_worker, options.unfinished, kPictures, kTiles, options.largest_tile,
                                    options.for_batch},
        *with.server,
        stages::ServerLane::Surroundings{settings_, to_merge_, to_encode_, log_writer_, observer_, outcomes_, store_,
                                         with.progress, with.clock});
  }
  run_queues_ = {&to_decode_, &to_preview_, &to_score_, &to_route_, &to_levels_, &to_tile_};
  if (server_) run_queues_.push_back(&server_->in());
}

Pipeline::~Pipeline() { drain(std::chrono::steady_clock::now()); }

void Pipeline::start() {
  sweep_unfinished();
  const auto to = [](queue::BoundedQueue<stages::RunPtr>& queue) {
    return [&queue](const stages::PictureRun&) { return &queue; };
  };
  const auto nowhere = [](const stages::PictureRun&) { return nullptr; };
  run(encode_, options_.encode_threads, to_encode_, nowhere);
  threads_.start("merge", merge_threads(), [this] {
    while (const auto tile = to_merge_.pop()) merge_.process(*tile);
  });
  start_devices();
  if (server_) server_->start(threads_);
  run(tile_, 1, to_tile_, nowhere);
  run(levels_, kLevels, to_levels_, [this](const stages::PictureRun& picture) { return after_levels(picture); });
  run(route_, 1, to_route_, [this](const stages::PictureRun& picture) { return after_route(picture); });
  run(score_, kScores, to_score_, to(to_route_));
  run(preview_, kPreviews, to_preview_, to(to_score_));
  run(decode_, options_.decode_threads, to_decode_, to(to_preview_));
  claiming_.start("claim", 1, [this] { claimer_.run(); });
}

void Pipeline::start_devices() {
  for (const auto& worker : infer_) {
    for (std::size_t slot = 0; slot < worker->slots(); ++slot) threads_.start("infer", 1, [&worker, slot] { worker->run(slot); });
  }
}

template <class Stage>
void Pipeline::run(Stage& stage, int threads, queue::BoundedQueue<stages::RunPtr>& in, stages::NextQueue next) {
  threads_.start(std::string(Stage::kName), threads,
                 [this, &stage, &in, next = std::move(next)] { stages::run_stage(stage, in, next, outcomes_, observer_); });
}

queue::BoundedQueue<stages::RunPtr>* Pipeline::after_route(const stages::PictureRun& run) {
  if (run.is_returned) return &to_encode_;
  switch (run.decision.route) {
    case queue::Route::kLocal:
      return run.wants_levels ? &to_levels_ : &to_tile_;
    case queue::Route::kServer:
      return &server_->in();
    case queue::Route::kPreview:
    case queue::Route::kLevel:
    case queue::Route::kSkip:
      return &to_encode_;
    case queue::Route::kCloud:
      break;  // the store has it
  }
  return nullptr;
}

queue::BoundedQueue<stages::RunPtr>* Pipeline::after_levels(const stages::PictureRun& run) {
  return run.decision.route == queue::Route::kLevel ? &to_encode_ : &to_tile_;
}

void Pipeline::drain(std::chrono::steady_clock::time_point until) {
  claimer_.stop();
  if (!in_flight_.wait_until_empty(until)) {
    const auto left = in_flight_.all();
    spdlog::info("{} jobs in flight go back to the queue", left.size());
    for (const stages::RunPtr& run : left) outcomes_.hand_back(*run);
    to_infer_.drop_abandoned();
    if (server_) server_->drop_abandoned();
  }
  (void)in_flight_.wait_until_empty(std::chrono::steady_clock::now() + kPublishingGrace);
  memory_.close();
  for (auto* runs : run_queues_) runs->close();
  to_encode_.close();
  if (server_) server_->close();
  to_infer_.close();
  to_merge_.close();
  for (const auto& worker : infer_) worker->stop();
  if (server_) server_->stop();
  claiming_.join();
  threads_.join();
}

void Pipeline::on_events(const std::vector<queue::JobEvent>& events) {
  for (const queue::JobEvent& event : events) {
    if (event.kind == "cancel_requested") claimer_.cancel(event.job);
  }
  forget_ended(events);
  claimer_.wake();
}

void Pipeline::forget_ended(const std::vector<queue::JobEvent>& events) {
  for (const queue::JobEvent& event : events) {
    if (event.kind != "done" && event.kind != "failed" && event.kind != "cancelled") continue;
    std::error_code ignored;
    std::filesystem::remove(stages::Tile::path_of(options_.unfinished, event.job), ignored);
  }
}

void Pipeline::sweep_unfinished() {
  std::error_code ignored;
  std::filesystem::create_directories(options_.unfinished, ignored);
  for (const auto& entry : std::filesystem::directory_iterator(options_.unfinished, ignored)) {
    const queue::JobId id = std::strtoll(entry.path().stem().c_str(), nullptr, 10);
    const auto job = store_.get(id);
    if (!job || queue::is_terminal(job->state)) std::filesystem::remove(entry.path(), ignored);
  }
}

bool Pipeline::wants_more() const {
  if (to_infer_.depth() >= kTilesAhead * devices_.tiles_at_once()) return false;
  const auto runs = in_flight_.all();
  const auto on_their_way =
      std::count_if(runs.begin(), runs.end(), [](const stages::RunPtr& run) { return !run->is_tiled.load(); });
  return on_their_way <= options_.decode_threads;
}

stages::StarvedCause Pipeline::why_idle() const {
  using stages::StarvedCause;
  if (in_flight_.count() == 0) return StarvedCause::kNoWork;
  if (memory_.is_waited_for()) return StarvedCause::kMemory;
  if (to_merge_.depth() > 0) return StarvedCause::kMerge;
  if (to_encode_.depth() > 0) return StarvedCause::kEncode;
  if (to_preview_.depth() > 0) return StarvedCause::kPreview;
  return StarvedCause::kDecode;
}

std::vector<QueueSnapshot> Pipeline::queues() const {
  std::vector<QueueSnapshot> all;
  for (const auto* runs : run_queues_) all.push_back({runs->name(), runs->depth(), runs->bytes()});
  all.push_back({"infer", to_infer_.depth(), to_infer_.bytes()});
  all.push_back({to_merge_.name(), to_merge_.depth(), to_merge_.bytes()});
  all.push_back({to_encode_.name(), to_encode_.depth(), to_encode_.bytes()});
  return all;
}

std::vector<DeviceSnapshot> Pipeline::devices() const {
  std::vector<DeviceSnapshot> all;
  std::vector<const stages::DeviceWorker*> workers;
  for (const auto& worker : infer_) workers.push_back(worker.get());
  if (server_) {
    for (const auto& worker : server_->workers()) workers.push_back(worker.get());
  }
  for (const auto* worker : workers) {
    DeviceSnapshot device;
    device.name = worker->member().device->name();
    device.up = worker->member().is_up.load();
    device.batches_in_flight = worker->in_flight();
    all.push_back(device);
  }
  return all;
}

}  // namespace retouchd::daemon
