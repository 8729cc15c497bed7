#include "daemon/monitor_routes.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "daemon/status_page.h"

namespace retouchd::daemon {
namespace {

HttpResponse json_text(unsigned status, const nlohmann::json& body) {
  // A reason may quote a file name, which need not be UTF-8.
  return {status, "application/json", body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n"};
}

HttpResponse readiness(const Snapshot& snapshot) {
  const auto reasons = not_ready_reasons(snapshot);
  if (reasons.empty()) return json_text(200, {{"status", "ready"}, {"reasons", nlohmann::json::array()}});
  return json_text(503, {{"status", snapshot.draining ? "draining" : "not_ready"}, {"reasons", reasons}});
}

}  // namespace

std::vector<std::string> not_ready_reasons(const Snapshot& snapshot) {
  if (snapshot.draining) return {"retouchd is stopping and takes no new jobs"};
  std::vector<std::string> reasons;
  if (!snapshot.ready) reasons.push_back(snapshot.not_ready_reason.empty() ? "starting" : snapshot.not_ready_reason);
  if (!snapshot.devices.empty() && std::ranges::none_of(snapshot.devices, &DeviceSnapshot::up)) {
    for (const auto& device : snapshot.devices) reasons.push_back("device " + device.name + " is down");
  }
  return reasons;
}

std::vector<HttpRoute> monitor_routes(Metrics& metrics, SnapshotSource source) {
  return {
      {"GET", "/metrics",
       [&metrics, source](const HttpRequest&) {
         return HttpResponse{200, "text/plain; version=0.0.4; charset=utf-8", metrics.render(source())};
       }},
      {"GET", "/healthz",
       [](const HttpRequest&) {
         return json_text(200, {{"status", "ok"}});
       },
       /*may_block=*/false},
      {"GET", "/readyz", [source](const HttpRequest&) { return readiness(source()); }},
      {"GET", "/",
       [&metrics, source = std::move(source)](const HttpRequest&) {
         auto snapshot = source();
         metrics.add_load(snapshot);
         return HttpResponse{200, "text/html; charset=utf-8", status_page(snapshot, not_ready_reasons(snapshot))};
       }},
  };
}

}  // namespace retouchd::daemon
