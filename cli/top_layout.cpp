#include "cli/top_layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/units.h"
#include "cli/cells.h"
#include "cli/job_text.h"

namespace retouchd::cli {
namespace {

using nlohmann::json;
using Lines = std::vector<std::string>;

// Widths in columns.
constexpr std::size_t kLabel = 9;
constexpr std::size_t kDevice = 10;
constexpr std::size_t kDeviceNumbers = 39;  // " 100 %   TILES/S   FILL  WASTE  BATCHES"
constexpr std::size_t kJobId = 8;
constexpr std::size_t kTiles = 18;  // " 1234/5678 infer"
constexpr std::size_t kLeastBar = 8;
constexpr std::size_t kMostBar = 62;

double number_in(const json& object, const char* field) {
  const auto value = object.is_object() ? object.find(field) : object.end();
  return value != object.end() && value->is_number() ? value->get<double>() : 0;
}

const json& member(const json& object, const char* field) {
  static const json kNothing;
  const auto value = object.is_object() ? object.find(field) : object.end();
  return value != object.end() ? *value : kNothing;
}

/// `width` columns with its brackets.
std::string bar(double share, std::size_t width) {
  width = std::clamp(width, kLeastBar, kMostBar) - 2;
  const auto full = static_cast<std::size_t>(std::clamp(share, 0.0, 1.0) * static_cast<double>(width) + 0.5);
  return fmt::format("[{}{}]", std::string(full, '#'), std::string(width - full, '.'));
}

/// What remains of `columns` for a bar.
std::size_t bar_width(std::size_t columns, std::size_t others) { return columns > others ? columns - others : 0; }

std::string percent(const json& share) {
  return share.is_number() ? fmt::format("{:.0f} %", 100 * share.get<double>()) : std::string("-");
}

/// "3 h 12 min", "2 d 4 h", "41 s"
std::string duration_text(double seconds) {
  const auto s = static_cast<std::int64_t>(seconds);
  if (s < 60) return fmt::format("{} s", s);
  if (s < 3'600) return fmt::format("{} min {} s", s / 60, s % 60);
  if (s < 86'400) return fmt::format("{} h {} min", s / 3'600, s / 60 % 60);
  return fmt::format("{} d {} h", s / 86'400, s / 3'600 % 24);
}

std::string header(const json& stats, std::size_t columns) {
  const bool is_draining = stats.value("draining", false);
  const std::string state = is_draining ? "draining" : stats.value("ready", false) ? "ready" : "not ready";
  const std::string right = fmt::format("  {}, up {}", state, duration_text(number_in(stats, "uptime_s")));
  std::string left = "retouchd " + text_in(stats, "version");
  if (const auto network = text_in(stats, "network"); !network.empty()) left += "  " + network;
  if (const auto device = text_in(stats, "device"); !device.empty()) left += " on " + device;
  return columns > right.size() ? fitted(left, columns - right.size()) + right : left;
}

std::string jobs_line(const json& stats) {
  const json& jobs = member(stats, "jobs");
  std::string line = fmt::format("{:<{}}{:.0f}/min", "Jobs", kLabel, number_in(stats, "jobs_per_minute"));
  for (const auto& [state, always] : {std::pair{"queued", true},
                                      {"running", true},
                                      {"publishing", false},
                                      {"escalated", false},
                                      {"done", true},
                                      {"failed", true},
                                      {"cancelled", false}}) {
    const double count = number_in(jobs, state);
    if (always || count > 0) line += fmt::format("  {:.0f} {}", count, state);
  }
  return line;
}

std::string memory_line(const json& stats, std::size_t columns) {
  const json& memory = member(stats, "memory");
  const double budget = number_in(memory, "budget");
  const double reserved = number_in(memory, "reserved");
  const double share = budget > 0 ? reserved / budget : 0;
  const auto size = [](double bytes) { return to_string(Bytes{static_cast<std::uint64_t>(std::max(bytes, 0.0))}); };
  return fmt::format("{:<{}}{} {:>5}  {} of {}", "Memory", kLabel, bar(share, bar_width(columns, kLabel + 32)), percent(share),
                     size(reserved), size(budget));
}

std::string queues_line(const json& stats) {
  std::string line = fmt::format("{:<{}}", "Queues", kLabel);
  bool is_first = true;
  for (const json& queue : member(stats, "queues")) {
    line += fmt::format("{}{} {:.0f}", std::exchange(is_first, false) ? "" : "  ", text_in(queue, "stage"),
                        number_in(queue, "items"));
  }
  return line;
}

/// Empty when pictures are not escalated.
std::string cloud_line(const json& stats) {
  const json& cloud = member(stats, "cloud");
  if (!cloud.is_object() || !cloud.contains("node")) return {};
  const std::string breaker = text_in(cloud, "breaker");
  std::string line = fmt::format("{:<{}}{}  {}", "Cloud", kLabel, text_in(cloud, "node"),
                                 breaker == "closed" ? "up"
                                 : breaker == "open" ? "away"
                                                     : "being tried");
  if (const json& left = member(cloud, "escalations_left"); left.is_number())
    line += fmt::format("  {:.0f} pictures left", left.get<double>());
  if (const json& left = member(cloud, "bytes_left"); left.is_number())
    line += fmt::format("  {} left", to_string(Bytes{static_cast<std::uint64_t>(std::max(left.get<double>(), 0.0))}));
  return line;
}

/// "decode 3.1 s, memory 0.4 s": the longest first; empty when there was nothing to speak of.
std::string starved_text(const json& starved) {
  std::vector<std::pair<double, std::string>> causes;
  for (const auto& [cause, seconds] : starved.items()) {
    if (seconds.is_number() && seconds.get<double>() >= 0.05) causes.emplace_back(-seconds.get<double>(), cause);
  }
  std::sort(causes.begin(), causes.end());
  std::string text;
  for (auto& [negated, cause] : causes) {
    std::replace(cause.begin(), cause.end(), '_', ' ');
    text += fmt::format("{}{} {:.1f} s", text.empty() ? "" : ", ", cause, -negated);
  }
  return text;
}

std::string device_line(const json& device, std::size_t columns) {
  const std::string name = fitted(text_in(device, "name"), kDevice - 1) + " ";
  if (!device.value("up", true)) return name + "down";
  const json& waste = member(device, "waste_ratio");
  return fmt::format(
      "{}{} {:>5} {:>9.1f} {:>6} {:>6} {:>8.0f}", name,
      bar(number_in(device, "busy_ratio"), bar_width(columns, kDevice + kDeviceNumbers)), percent(member(device, "busy_ratio")),
      number_in(device, "tiles_per_s"), percent(member(device, "batch_fill")),
      waste.is_number() ? fmt::format("{:.2f}", waste.get<double>()) : std::string("-"), number_in(device, "batches_in_flight"));
}

constexpr std::size_t kLeastSection = 4;  // a blank line, the heading, one line, and how many more there are

/// A heading and what stands below it.
struct Section {
  std::string heading;
  Lines lines;
  std::size_t hidden = 0;  ///< further ones that the daemon did not tell

  /// Lines that it wants, with a blank one above and its heading.
  [[nodiscard]] std::size_t wanted() const { return lines.empty() ? 0 : lines.size() + (hidden > 0 ? 1 : 0) + 2; }

  /// In at most `room` lines.
  void add_to(Lines& all, std::size_t room) const {
    const bool all_fit = wanted() <= room;
    if (lines.empty() || (!all_fit && room < kLeastSection)) return;
    const std::size_t places = room - 2;
    const std::size_t shown = all_fit ? lines.size() : places - 1;
    all.emplace_back();
    all.push_back(heading);
    all.insert(all.end(), lines.begin(), lines.begin() + static_cast<std::ptrdiff_t>(shown));
    if (const std::size_t more = lines.size() - shown + hidden; more > 0) all.push_back(fmt::format("... and {} more", more));
  }
};

/// With the causes of starving below each device, or (`brief`) of all devices in one line.
Section devices_of(const json& stats, std::size_t columns, bool brief) {
  const std::size_t width = std::clamp(bar_width(columns, kDevice + kDeviceNumbers), kLeastBar, kMostBar);
  Section section{fmt::format("{:<{}}{:<{}} {:>5} {:>9} {:>6} {:>6} {:>8}", "DEVICE", kDevice, "BUSY, LAST MINUTE", width, "",
                              "TILES/S", "FILL", "WASTE", "BATCHES"),
                  {}};
  json total = json::object();
  for (const json& device : member(stats, "devices")) {
    section.lines.push_back(device_line(device, columns));
    const json& starved = member(device, "starved_s");
    if (!starved.is_object()) continue;
    if (const auto text = starved_text(starved); !brief && !text.empty()) section.lines.push_back("  idle: " + text);
    for (const auto& [cause, seconds] : starved.items()) {
      if (seconds.is_number()) total[cause] = number_in(total, cause.c_str()) + seconds.get<double>();
    }
  }
  if (const auto text = starved_text(total); brief && !text.empty())
    section.lines.insert(section.lines.begin(), "  idle, all together: " + text);
  return section;
}

Section clients_of(const json& stats, std::size_t columns) {
  const std::size_t name = columns * 2 / 5;
  Section section{fitted(fmt::format("CLIENT, fairness {:.2f}", number_in(stats, "fairness")), name) + "SHARE, LAST MINUTE", {}};
  for (const json& client : member(stats, "clients")) {
    section.lines.push_back(fmt::format("{}{} {:>5}  {}", fitted(text_in(client, "name"), name - 2, Keep::kEnd) + "  ",
                                        bar(number_in(client, "share"), bar_width(columns, name + 13)),
                                        percent(member(client, "share")), client.value("waiting", false) ? "waits" : ""));
  }
  const auto all = static_cast<std::size_t>(number_in(stats, "client_count"));
  section.hidden = all > section.lines.size() ? all - section.lines.size() : 0;
  return section;
}

Section running_of(const json& stats, std::size_t columns) {
  const std::size_t name = columns * 2 / 5;
  Section section{fmt::format("{:>{}}  {:<{}}{}", "JOB", kJobId - 2, "PICTURE", name, "TILES"), {}};
  for (const json& job : member(stats, "running")) {
    const double done = number_in(job, "done");
    const double total = number_in(job, "total");
    std::string line =
        fmt::format("{:>{}.0f}  {}", number_in(job, "id"), kJobId - 2, fitted(text_in(job, "name"), name - 2, Keep::kEnd) + "  ");
    if (total > 0) {
      line += fmt::format("{} {:.0f}/{:.0f} ", bar(done / total, bar_width(columns, kJobId + name + kTiles)), done, total);
    }
    section.lines.push_back(line + text_in(job, "stage"));
  }
  return section;
}

}  // namespace

Lines top_lines(const json& stats, const Extent& extent) {
  const std::size_t columns = std::max<std::size_t>(extent.columns, 40);
  Lines lines{header(stats, columns), jobs_line(stats), memory_line(stats, columns), queues_line(stats)};
  if (std::string cloud = cloud_line(stats); !cloud.empty()) lines.push_back(std::move(cloud));
  const std::size_t room = extent.rows == 0 ? SIZE_MAX / 2 : extent.rows - std::min(extent.rows, lines.size());

  // Devices may take half of the room, clients a third of the rest, or what the jobs leave them.
  Section devices = devices_of(stats, columns, /*brief=*/false);
  if (devices.wanted() > room / 2) devices = devices_of(stats, columns, /*brief=*/true);
  const Section clients = clients_of(stats, columns);
  const Section running = running_of(stats, columns);
  const std::size_t others = clients.wanted() + running.wanted();
  const std::size_t for_devices = std::min(devices.wanted(), std::max(room / 2, room - std::min(room, others)));
  const std::size_t rest = room - for_devices;
  const std::size_t third = rest < 2 * kLeastSection ? 0 : std::max(rest / 3, kLeastSection);
  const std::size_t for_clients = std::min(clients.wanted(), std::max(third, rest - std::min(rest, running.wanted())));
  devices.add_to(lines, for_devices);
  clients.add_to(lines, for_clients);
  running.add_to(lines, rest - for_clients);

  for (std::string& line : lines) {
    line = fitted(line, extent.columns);
    line.erase(line.find_last_not_of(' ') + 1);
  }
  if (extent.rows > 0 && lines.size() > extent.rows) lines.resize(extent.rows);
  return lines;
}

}  // namespace retouchd::cli
