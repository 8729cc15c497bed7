#include "daemon/status_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace retouchd::daemon {
namespace {

constexpr std::string_view kHead = R"(<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="5"><title>retouchd</title>
<style>
body{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}
table{border-collapse:collapse;width:100%;margin:0 0 1.5rem}th,td{text-align:left;padding:.2rem .6rem .2rem 0;border-bottom:1px solid #ddd}
td.n,th.n{text-align:right}.bad{color:#b00020}
@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}th,td{border-color:#444}.bad{color:#ff8a80}a{color:#8ab4f8}}
</style></head><body><h1>retouchd</h1>
)";

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string up_text(bool up) { return up ? "up" : "<strong class=\"bad\">down</strong>"; }

/// "decode 3.1 s, memory 0.4 s"; empty when the device was never idle.
std::string idle_text(const DeviceLoad& load) {
  std::string text;
  for (std::size_t i = 0; i < kStarvedCauses.size(); ++i) {
    if (load.starved_s[i] < 0.05) continue;
    std::string cause(stages::name_of(kStarvedCauses[i]));
    std::ranges::replace(cause, '_', ' ');
    text += fmt::format("{}{} {:.1f} s", text.empty() ? "" : ", ", cause, load.starved_s[i]);
  }
  return text;
}

std::string state_text(const Snapshot& snapshot, const std::vector<std::string>& reasons) {
  if (reasons.empty()) return "<p>Ready.</p>\n";
  std::string text = fmt::format("<p class=\"bad\">{}:</p><ul>\n", snapshot.draining ? "Draining" : "Not ready");
  for (const auto& reason : reasons) text += "<li>" + escaped(reason) + "</li>\n";
  return text + "</ul>\n";
}

}  // namespace

std::string status_page(const Snapshot& snapshot, const std::vector<std::string>& not_ready_reasons) {
  std::string page(kHead);
  page += state_text(snapshot, not_ready_reasons);

  page += "<h2>Jobs</h2><table>\n";
  for (std::size_t i = 0; i < snapshot.jobs.size(); ++i) {
    page += fmt::format("<tr><td>{}</td><td class=\"n\">{}</td></tr>\n", queue::name_of(static_cast<queue::JobState>(i)),
                        snapshot.jobs[i]);
  }
  page += "</table>\n<h2>Stages</h2><table><tr><th>waiting for</th><th class=\"n\">items</th><th class=\"n\">memory</th></tr>\n";
  for (const auto& line : snapshot.queues) {
    page += fmt::format("<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>\n", escaped(line.stage), line.depth,
                        to_string(line.bytes));
  }
  page += fmt::format(
      "</table>\n<p>Memory: {} of {} in use.</p>\n<h2>Devices, last minute</h2><table><tr><th>name</th><th>state</th>"
      "<th class=\"n\">busy</th><th>idle for</th></tr>\n",
      to_string(snapshot.memory_reserved), to_string(snapshot.memory_budget));
  for (const auto& device : snapshot.devices) {
    page += fmt::format("<tr><td>{}</td><td>{}</td><td class=\"n\">{:.0f} %</td><td>{}</td></tr>\n", escaped(device.name),
                        up_text(device.up), 100 * device.load.busy_ratio, idle_text(device.load));
  }
  page += fmt::format(
      "</table>\n<h2>Clients, last minute</h2><p>Fairness: {:.2f}.</p><table><tr><th>name</th><th>state</th>"
      "<th class=\"n\">megapixels</th></tr>\n",
      fairness_index(snapshot.clients));
  for (const auto& client : clients_to_tell(snapshot.clients)) {
    page += fmt::format("<tr><td>{}</td><td>{}</td><td class=\"n\">{:.1f}</td></tr>\n", escaped(client.name),
                        client.is_waiting ? "waits" : "", client.pixels / 1e6);
  }
  page +=
      "</table>\n<h2>Watched folders</h2><table><tr><th>name</th><th>state</th><th class=\"n\">incomplete</th>"
      "<th class=\"n\">accepted</th></tr>\n";
  for (const auto& watch : snapshot.watches) {
    page += fmt::format("<tr><td>{}</td><td>{}{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>\n", escaped(watch.name),
                        up_text(watch.up), watch.polling ? ", polling" : "", watch.pending, watch.accepted);
  }
  return page + "</table>\n<p><a href=\"/metrics\">metrics</a> · <a href=\"/readyz\">readiness</a></p></body></html>\n";
}

}  // namespace retouchd::daemon
