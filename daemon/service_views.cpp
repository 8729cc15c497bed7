// What the service tells others about itself.
#include <nlohmann/json.hpp>

#include "daemon/models_json.h"
#include "daemon/service.h"
#include "daemon/stats_json.h"

namespace retouchd::daemon {

cloud::EscalatorHooks Service::escalator_hooks() {
  cloud::EscalatorHooks hooks;
  hooks.progress = [this](queue::JobId id, std::int64_t done, std::int64_t total) {
    progress_.note(id, static_cast<int>(done), static_cast<int>(total));
  };
  hooks.local_estimate = [](const queue::Job& job) {
    const auto decision = queue::decision_from_text(job.decision);
    const double seconds = decision ? decision->local_seconds.value_or(0) : 0;
    return std::chrono::ceil<std::chrono::milliseconds>(std::chrono::duration<double>(seconds));
  };
  hooks.transferred = [this](Bytes sent, Bytes received) { metrics_->cloud_transferred(sent, received); };
  hooks.ended = [this](std::string_view result) { metrics_->escalation_ended(result); };
  return hooks;
}

intake::ZmqHooks Service::zmq_hooks() {
  intake::ZmqHooks hooks;
  hooks.models = [this] { return models_json(engine_, admission_->default_network()); };
  hooks.health = [this] {
    return nlohmann::json{{"ready", ready_.load() && !draining_.load()},
                          {"draining", draining_.load()},
                          {"device", engine_.devices->description()},
                          {"network", admission_->default_network()},
                          {"in_flight", pipeline_->in_flight()}};
  };
  hooks.stats = [this] {
    Snapshot now = snapshot();
    metrics_->add_load(now);
    return stats_json(now);
  };
  hooks.progress = [this](queue::JobId id) -> std::optional<nlohmann::json> {
    const auto progress = progress_.of(id);
    if (!progress) return std::nullopt;
    return nlohmann::json{{"stage", "infer"}, {"done", progress->done}, {"total", progress->total}};
  };
  hooks.answered = [this](std::string_view op, std::string_view result) { metrics_->request_answered(op, result); };
  hooks.event_published = [this] { metrics_->event_published(); };
  return hooks;
}

bool Service::is_idle() const {
  if (pipeline_->in_flight() > 0) return false;
  if (draining_.load()) return true;  // what is queued is not begun any more
  const auto ready = store_->next_ready();
  return !ready || *ready > clock_.now();
}

Snapshot Service::snapshot() const {
  Snapshot now;
  if (const auto counts = store_->counts()) now.jobs = *counts;
  now.queues = pipeline_->queues();
  now.devices = pipeline_->devices();
  now.device = engine_.devices->description();
  now.network = admission_->default_network();
  for (const auto& [client, share] : pipeline_->shares()) now.clients.push_back({client, share.pixels, share.is_waiting});
  for (const stages::RunPtr& run : pipeline_->runs()) {
    const auto progress = progress_.of(run->job.id);
    if (!progress || now.running.size() == Snapshot::kMostRunning) continue;
    now.running.push_back({run->job.id, run->job.request.name, "infer", progress->done, progress->total});
  }
  now.watches = watches_->status();
  if (engine_.codec_pool != nullptr) now.codecs = engine_.codec_pool->counts();
  if (guests_) now.guests_denied = guests_->denied();
  if (escalation_) now.cloud = escalation_->status();
  now.memory_budget = config_.memory;
  now.memory_reserved = pipeline_->memory_reserved();
  now.ready = ready_.load();
  now.draining = draining_.load();
  if (!now.ready) now.not_ready_reason = "starting";
  return now;
}

}  // namespace retouchd::daemon
