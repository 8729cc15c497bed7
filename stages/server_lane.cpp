#include "stages/server_lane.h"

#include <spdlog/spdlog.h>

#include "stages/planner.h"

namespace retouchd::stages {
ServerLane::ServerLane(Options options, ServerAccess access, const Surroundings& with)
    : options_(std::move(options)),
      access_(std::move(access)),
      with_(with),
      in_("server", options_.pictures),
      scheduler_(options_.tiles),
      tile_(
          {options_.unfinished}, with.settings, scheduler_, with.finished, with.log_writer, with.observer,
          [this](PictureRun& run, const Error& error) { failed(run, error); },
          [this](queue::JobId id, int done, int total) {
            if (done == total) access_.succeeded();
            with_.progress(id, done, total);
          }) {
  const DeviceWorker::Hooks hooks{[] { return StarvedCause::kNoWork; }, [] {}};
  for (const auto& device : access_.devices->members()) {
    workers_.push_back(std::make_unique<DeviceWorker>(*access_.devices, *device, options_.worker, scheduler_, with_.merge,
                                                      with_.observer, hooks));
  }
}

Result<void> ServerLane::plan(PictureRun& run) {
  const auto network = access_.describe(run.job.request.network);
  if (!network) return network.error();
  if (network->scale != run.network.scale || network->companion != run.network.companion) {
    return make_error(ErrorCode::kBadWeights, "the network " + network->name + " of the model server does not do what " +
                                                  run.network.name + " does here");
  }
  const auto cost = access_.devices->prepare(*network);
  if (!cost) return cost.error();
  PlanFacts facts = access_.devices->facts(*network);
  facts.mode = Settings::Mode::kTiled;  // one request is one tile
  facts.largest_tile = options_.largest_tile;
  facts.memory = access_.devices->memory().value_or(options_.memory);
  facts.cost = *cost;
  run.plan = plan_picture(run.picture.colour.size(), *network, facts);
  run.computed_as = access_.devices->computed_as(*network);
  run.network = *network;
  return {};
}

void ServerLane::start(StageThreads& threads) {
  for (const auto& worker : workers_) {
    for (std::size_t slot = 0; slot < worker->slots(); ++slot) threads.start("server", 1, [&worker, slot] { worker->run(slot); });
  }
  threads.start("server-tile", 1, [this] {
    run_stage(
        tile_, in_, [](const PictureRun&) { return nullptr; }, with_.outcomes, with_.observer, with_.clock);
  });
}

void ServerLane::close() {
  in_.close();
  scheduler_.close();
}

void ServerLane::stop() {
  for (const auto& worker : workers_) worker->stop();
}

void ServerLane::failed(PictureRun& run, const Error& error) {
  if (!traits_of(error.code).transient && error.code != ErrorCode::kBadWeights) return with_.outcomes.failed(run, error);
  access_.failed();
  spdlog::warn("job {}: the model server failed: {}", run.job.id, error.message);
  const Error cause{ErrorCode::kCloudFailed, "the model server failed: " + error.message, "infer"};
  if (with_.settings.get()->fallback == Settings::Fallback::kQueue) {
    return with_.outcomes.wait(run, cause, ServerLane::kPause);
  }
  const bool preview = with_.settings.get()->fallback == Settings::Fallback::kLocalPreview;
  queue::Decision decision = run.decision;
  queue::fall_back(decision, preview ? queue::Route::kLevel : queue::Route::kLocal, "node_away", cause.message);
  with_.observer.routed(decision);
  if (auto recorded = with_.store.record_decision(run.claim(), queue::to_text(decision)); !recorded) {
    return with_.outcomes.failed(run, recorded.error());
  }
  with_.outcomes.wait(run, cause, std::chrono::milliseconds(0));
}

}  // namespace retouchd::stages
