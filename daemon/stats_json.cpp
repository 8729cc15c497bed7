#include "daemon/stats_json.h"

#include <optional>
#include <utility>

namespace retouchd::daemon {
namespace {

using nlohmann::json;

json number_or_null(const std::optional<double>& number) { return number ? json(*number) : json(nullptr); }

json device_json(const DeviceSnapshot& device) {
  json starved = json::object();
  for (std::size_t i = 0; i < kStarvedCauses.size(); ++i)
    starved[std::string(stages::name_of(kStarvedCauses[i]))] = device.load.starved_s[i];
  return {{"name", device.name},
          {"up", device.up},
          {"batches_in_flight", device.batches_in_flight},
          {"busy_ratio", device.load.busy_ratio},
          {"starved_s", std::move(starved)},
          {"tiles_per_s", device.load.tiles_per_s},
          {"batch_fill", number_or_null(device.load.batch_fill)},
          {"waste_ratio", number_or_null(device.load.waste_ratio)}};
}

json clients_json(const std::vector<ClientSnapshot>& clients) {
  double all = 0;
  for (const ClientSnapshot& client : clients) all += client.pixels;
  json told = json::array();
  for (const ClientSnapshot& client : clients_to_tell(clients)) {
    told.push_back({{"name", client.name},
                    {"share", all > 0 ? client.pixels / all : 0.0},
                    {"megapixels", client.pixels / 1e6},
                    {"waiting", client.is_waiting}});
  }
  return told;
}

json cloud_json(const std::optional<CloudSnapshot>& cloud) {
  if (!cloud) return nullptr;
  const auto left = [](const auto& value) { return value ? json(*value) : json(); };
  json told{{"node", cloud->node}, {"breaker", cloud->breaker}, {"escalations_left", left(cloud->escalations_left)}};
  told["bytes_left"] = cloud->bytes_left ? json(cloud->bytes_left->value) : json();
  return told;
}

}  // namespace

json stats_json(const Snapshot& snapshot) {
  json jobs = json::object();
  for (std::size_t i = 0; i < snapshot.jobs.size(); ++i)
    jobs[std::string(queue::name_of(static_cast<queue::JobState>(i)))] = snapshot.jobs[i];
  json devices = json::array();
  for (const DeviceSnapshot& device : snapshot.devices) devices.push_back(device_json(device));
  json queues = json::array();
  for (const QueueSnapshot& line : snapshot.queues)
    queues.push_back({{"stage", line.stage}, {"items", line.depth}, {"bytes", line.bytes.value}});
  json running = json::array();
  for (const RunningSnapshot& job : snapshot.running) {
    running.push_back({{"id", job.id}, {"name", job.name}, {"stage", job.stage}, {"done", job.done}, {"total", job.total}});
  }
  return {{"version", snapshot.version},
          {"device", snapshot.device},
          {"network", snapshot.network},
          {"uptime_s", snapshot.uptime.count()},
          {"ready", snapshot.ready && !snapshot.draining},
          {"draining", snapshot.draining},
          {"jobs", std::move(jobs)},
          {"jobs_per_minute", snapshot.jobs_done},
          {"devices", std::move(devices)},
          {"memory", {{"budget", snapshot.memory_budget.value}, {"reserved", snapshot.memory_reserved.value}}},
          {"cloud", cloud_json(snapshot.cloud)},
          {"queues", std::move(queues)},
          {"clients", clients_json(snapshot.clients)},
          {"client_count", snapshot.clients.size()},
          {"fairness", fairness_index(snapshot.clients)},
          {"running", std::move(running)}};
}

}  // namespace retouchd::daemon
