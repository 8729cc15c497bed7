#include "daemon/pipeline.h"

#include <spdlog/spdlog.h>

namespace retouchd::daemon {
namespace {

/// Pictures between two stages. Short: they hold memory while they wait; what keeps the device busy are the tiles in the
/// scheduler.
constexpr std::size_t kPictures = 4;
/// Tiles that may wait for the device. They are views, so many may: that lets every picture in flight take part in the batches.
constexpr std::size_t kTiles = 8192;
/// A result that is being published at the end of a drain gets this much longer.
constexpr std::chrono::seconds kPublishingGrace{60};

std::size_t batch_size(const PipelineOptions& options, const inference::Device& device) {
  return static_cast<std::size_t>(options.batch > 0 ? options.batch : device.default_batch());
}

}  // namespace

//   job store -> claimer -> decode -> preview -> route -> tile -> [scheduler] -> infer -> merge -> encode -> job store
//                                        \______ preview tiles ______^
Pipeline::Pipeline(const PipelineOptions& options, const Surroundings& with)
    : options_(options),
      observer_(with.observer),
      settings_(options.settings),
      memory_(options.memory),
      publisher_(with.store),
      outcomes_(with.store, in_flight_, with.observer, options.retry, with.clock, [this] { claimer_.wake(); }),
      to_decode_("decode", kPictures),
      to_preview_("preview", kPictures),
      to_route_("route", kPictures),
      to_tile_("tile", kPictures),
      to_infer_(kTiles),
      to_merge_("merge", 2 * batch_size(options, with.device.device())),
      to_encode_("encode", kPictures),
      claimer_({}, with.store, in_flight_, outcomes_, to_infer_, to_decode_, with.clock),
      decode_({options.largest_tile, static_cast<int>(batch_size(options, with.device.device())), options.for_batch}, settings_,
              with.networks, with.device, memory_),
      preview_(settings_, {options.previews, options.largest_tile}, to_infer_, with.store, with.observer, with.clock),
      tile_(to_infer_, to_encode_, outcomes_, with.progress),
      infer_(with.device, {batch_size(options, with.device.device()), options.max_wait}, to_infer_, to_merge_, with.observer,
             [this] { return why_idle(); }),
      merge_(with.observer),
      encode_(settings_, publisher_, outcomes_) {}

Pipeline::~Pipeline() { drain(std::chrono::steady_clock::now()); }

void Pipeline::start() {
  run(encode_, options_.encode_threads, to_encode_, nullptr);
  threads_.start("merge", 1, [this] {
    while (const auto tile = to_merge_.pop()) merge_.process(*tile);
  });
  threads_.start("infer", 1, [this] { infer_.run(); });
  run(tile_, 1, to_tile_, nullptr);
  run(route_, 1, to_route_, &to_tile_);
  run(preview_, 2, to_preview_, &to_route_);
  run(decode_, options_.decode_threads, to_decode_, &to_preview_);
  claiming_.start("claim", 1, [this] { claimer_.run(); });
}

template <class Stage>
void Pipeline::run(Stage& stage, int threads, queue::BoundedQueue<stages::RunPtr>& in, queue::BoundedQueue<stages::RunPtr>* out) {
  threads_.start(std::string(Stage::kName), threads,
                 [this, &stage, &in, out] { stages::run_stage(stage, in, out, outcomes_, observer_); });
}

void Pipeline::drain(std::chrono::steady_clock::time_point until) {
  claimer_.stop();
  if (!in_flight_.wait_until_empty(until)) {
    const auto left = in_flight_.all();
    spdlog::info("{} jobs in flight go back to the queue", left.size());
    for (const stages::RunPtr& run : left) outcomes_.hand_back(*run);
    to_infer_.drop_abandoned();
  }
  (void)in_flight_.wait_until_empty(std::chrono::steady_clock::now() + kPublishingGrace);
  memory_.close();
  for (auto* runs : {&to_decode_, &to_preview_, &to_route_, &to_tile_, &to_encode_}) runs->close();
  to_infer_.close();
  to_merge_.close();
  claiming_.join();
  threads_.join();
}

void Pipeline::on_events(const std::vector<queue::JobEvent>& events) {
  for (const queue::JobEvent& event : events) {
    if (event.kind == "cancel_requested") claimer_.cancel(event.job);
  }
  claimer_.wake();
}

stages::StarvedCause Pipeline::why_idle() const {
  using stages::StarvedCause;
  if (in_flight_.count() == 0) return StarvedCause::kNoWork;
  if (memory_.is_waited_for()) return StarvedCause::kMemory;
  if (to_merge_.depth() > 0 || to_encode_.depth() > 0) return StarvedCause::kMerge;
  if (to_preview_.depth() > 0) return StarvedCause::kPreview;
  return StarvedCause::kDecode;
}

std::vector<QueueSnapshot> Pipeline::queues() const {
  std::vector<QueueSnapshot> all;
  for (const auto* runs : {&to_decode_, &to_preview_, &to_route_, &to_tile_})
    all.push_back({runs->name(), runs->depth(), runs->bytes()});
  all.push_back({"infer", to_infer_.depth(), to_infer_.bytes()});
  all.push_back({to_merge_.name(), to_merge_.depth(), to_merge_.bytes()});
  all.push_back({to_encode_.name(), to_encode_.depth(), to_encode_.bytes()});
  return all;
}

DeviceSnapshot Pipeline::device() const { return {infer_.device().name(), infer_.is_up()}; }

}  // namespace retouchd::daemon
