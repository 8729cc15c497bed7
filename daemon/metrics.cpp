#include "daemon/metrics.h"

#include <prometheus/text_serializer.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <unordered_map>

#include "daemon/cascade_series.h"
#include "daemon/device_series.h"
#include "daemon/metric_families.h"

namespace retouchd::daemon {
namespace {

// 10 ms (one tile) to 30 min (a 100 MP picture on a small CPU).
const Buckets kSeconds{0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800};
// An fsync takes 0.1 ms on a good NVMe and seconds on a disk that is dying.
const Buckets kCommitSeconds{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5};

constexpr std::array kStages{"decode", "preview", "score", "route", "levels", "tile", "infer", "merge", "encode"};
constexpr std::array kOrigins{"watch", "zmq", "cloud", "run"};
constexpr std::array kStates{queue::JobState::kQueued,   queue::JobState::kRunning, queue::JobState::kPublishing,
                             queue::JobState::kDone,     queue::JobState::kFailed,  queue::JobState::kCancelled,
                             queue::JobState::kEscalated};
static_assert(kStates.size() == std::tuple_size_v<queue::JobStore::Counts>);
constexpr std::string_view kOutcomes[] = {"done", "failed", "cancelled"};

double resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  double total_pages = 0;
  double resident_pages = 0;
  statm >> total_pages >> resident_pages;
  return statm ? resident_pages * static_cast<double>(sysconf(_SC_PAGESIZE)) : 0;
}

/// A string member of an event's body, or "" when body or member are not what they should be.
std::string text_at(const nlohmann::json& body, const char* key) {
  if (!body.is_object()) return {};
  const auto member = body.find(key);
  return member != body.end() && member->is_string() ? member->get<std::string>() : std::string{};
}

ErrorCode code_of(const nlohmann::json& body) {
  std::string name = text_at(body, "code");
  if (name.empty() && body.is_object() && body.contains("error")) name = text_at(body["error"], "code");
  return error_code_from_name(name);
}

/// Counters only go up, while the totals in a snapshot begin anew when a watch is opened again.
void advance(Counter& counter, std::uint64_t& last, std::uint64_t total) {
  counter.Increment(static_cast<double>(total >= last ? total - last : total));
  last = total;
}

}  // namespace

struct Metrics::Series {
  explicit Series(const MetricsOptions& options);

  void add_origin(const std::string& origin);
  /// The label for an origin: its part before ':', as long as there are few of them.
  std::string origin_label(std::string_view origin);
  void count_event(const queue::JobEvent& event);
  void stop_waiting(queue::JobId job);
  /// Of a job that ended: from the event, or as it was when the job was accepted.
  std::string end_origin(queue::JobId job, const nlohmann::json& body);
  void take_watches(const std::vector<intake::WatchStatus>& watches);

  prometheus::Registry registry;
  Family<Gauge>& jobs = gauges(registry, "jobs", "Jobs in the store by state; ended ones until their retention is over.");
  Family<Counter>& jobs_total = counters(registry, "jobs_total", "Jobs that ended since the start, by outcome and origin.");
  Family<Counter>& accepted = counters(registry, "jobs_accepted_total", "Jobs made durable since the start, by origin.");
  Family<Counter>& retries = counters(registry, "retries_total", "Failures that are tried again, by error code.");
  Family<Gauge>& waiting = gauges(registry, "jobs_waiting", "Jobs put off for a cause outside them, by error code.");
  Family<Gauge>& queue_depth = gauges(registry, "stage_queue_depth", "Pictures (or tiles) queued in front of a stage.");
  Family<Gauge>& queue_bytes = gauges(registry, "stage_queue_bytes", "Memory of what is queued in front of a stage.");
  Family<Histogram>& stage_seconds =
      histograms(registry, "stage_seconds", "Time in a stage: a picture; for infer a batch, for merge a tile.");
  Histogram& time_to_preview =
      histograms(registry, "time_to_preview_seconds", "From acceptance to the preview.").Add({}, kSeconds);
  Histogram& job_seconds = histograms(registry, "job_seconds", "From acceptance to the finished picture.").Add({}, kSeconds);
  Gauge& memory_budget = gauges(registry, "memory_budget_bytes", "The memory that pictures and tiles may take.").Add({});
  Gauge& memory_reserved = gauges(registry, "memory_reserved_bytes", "The part of the budget in use.").Add({});
  Gauge& start_time = gauges(registry, "process_start_time_seconds", "When the process started, in seconds since 1970.").Add({});
  Gauge& resident = gauges(registry, "process_resident_memory_bytes", "Resident memory of the process.").Add({});
  Family<Gauge>& watch_up = gauges(registry, "watch_up", "1 while the watched folder is there and watched.");
  Family<Gauge>& watch_pending = gauges(registry, "watch_pending", "Files seen in the watched folder that are not complete yet.");
  Family<Counter>& watch_files = counters(registry, "watch_files_total", "Files of the watched folder, by what became of them.");
  Family<Counter>& requests = counters(registry, "requests_total", "Requests answered, by operation and result.");
  Counter& guests_denied =
      counters(registry, "guests_denied_total", "Connections refused because their key is not in serve.clients.").Add({});
  Counter& codec_starts =
      counters(registry, "codec_workers_started_total", "Processes started to read and write pictures.").Add({});
  Family<Counter>& codec_ends =
      counters(registry, "codec_workers_lost_total", "Processes that died of a picture, by reason: crash or timeout.");
  Counter& codec_crashes = codec_ends.Add({{"reason", "crash"}});
  Counter& codec_timeouts = codec_ends.Add({{"reason", "timeout"}});
  Counter& published = counters(registry, "events_published_total", "Events sent to subscribers.").Add({});
  Counter& store_errors = counters(registry, "store_errors_total", "Failed operations of the job store.").Add({});
  Histogram& commit_seconds =
      histograms(registry, "store_commit_seconds", "Time of a commit of the job store.").Add({}, kCommitSeconds);
  Family<Counter>& reloads = counters(registry, "config_reload_total", "Reloads of the configuration, by result.");
  Family<Counter>& notifications =
      counters(registry, "webhook_notifications_total", "Attempts to tell the receiver of an event, by result.");
  Family<Counter>& hooks = counters(registry, "hooks_total", "Commands run for events, by result.");
  Family<Gauge>& build_info = gauges(registry, "build_info", "Always 1; its labels say what runs.");

  struct WatchTotals {
    std::uint64_t accepted = 0;
    std::uint64_t ignored = 0;
    std::uint64_t duplicates = 0;
  };

  DeviceSeries devices{registry};
  CascadeSeries cascade{registry};
  Saturation saturation;
  const std::chrono::steady_clock::time_point start;
  const Clock& clock;
  const std::string version;
  std::set<std::string, std::less<>> ops;  // fixed after construction
  std::map<std::string, Histogram*, std::less<>>
      stage_histograms;  // fixed after construction; spares the label map for every tile

  std::mutex render_mutex;  // one scrape at a time: its gauges and its text belong together
  std::map<std::string, WatchTotals> watch_totals;
  std::uint64_t denied_before = 0;
  sandbox::PoolCounts codecs_before;

  std::mutex mutex;  // guards what follows
  std::set<std::string, std::less<>> origins;
  std::unordered_map<queue::JobId, ErrorCode> waiting_jobs;
  std::unordered_map<queue::JobId, const std::string*> job_origins;  // into `origins`, whose strings stay where they are
};

Metrics::Series::Series(const MetricsOptions& options)
    : saturation(*options.clock),
      start(options.clock->steady_now()),
      clock(*options.clock),
      version(options.version),
      ops(options.request_ops.begin(), options.request_ops.end()) {
  for (const auto state : kStates) jobs.Add({{"state", std::string(queue::name_of(state))}});
  for (const auto* origin : kOrigins) add_origin(origin);
  for (int i = 0; i <= static_cast<int>(ErrorCode::kInternal); ++i) {
    const auto& traits = traits_of(static_cast<ErrorCode>(i));
    if (!traits.transient) continue;
    retries.Add({{"code", std::string(traits.name)}});
    waiting.Add({{"code", std::string(traits.name)}});
  }
  for (const auto* stage : kStages) {
    queue_depth.Add({{"stage", stage}});
    queue_bytes.Add({{"stage", stage}});
    stage_histograms.emplace(stage, &stage_seconds.Add({{"stage", stage}}, kSeconds));
  }
  for (const auto* result : {"ok", "failed"}) reloads.Add({{"result", result}});
  for (const auto* result : {"delivered", "retried", "dropped"}) notifications.Add({{"result", result}});
  for (const auto* result : {"ok", "failed", "timeout", "dropped"}) hooks.Add({{"result", result}});
  for (const auto& op : ops) requests.Add({{"op", op}, {"result", "ok"}});
  std::istringstream names(options.device);
  for (std::string name; std::getline(names, name, ',');) devices.add(name);
  start_time.SetToCurrentTime();
  build_info
      .Add({{"version", options.version},
            {"libtorch", options.libtorch},
            {"device", options.device},
            {"network", options.network}})
      .Set(1);
}

void Metrics::Series::add_origin(const std::string& origin) {
  origins.insert(origin);
  accepted.Add({{"origin", origin}});
  for (const auto outcome : kOutcomes) jobs_total.Add({{"outcome", std::string(outcome)}, {"origin", origin}});
}

std::string Metrics::Series::origin_label(std::string_view origin) {
  const auto label = origin.empty() ? std::string_view("unknown") : origin.substr(0, origin.find(':'));
  if (origins.contains(label)) return std::string(label);
  // Two places are left for the labels that are always possible.
  const bool has_room = origins.size() + 2 < kMaxOrigins || label == "unknown";
  std::string kept(has_room ? label : std::string_view("other"));
  add_origin(kept);
  return kept;
}

void Metrics::Series::stop_waiting(queue::JobId job) {
  const auto found = waiting_jobs.find(job);
  if (found == waiting_jobs.end()) return;
  waiting.Add({{"code", std::string(traits_of(found->second).name)}}).Decrement();
  waiting_jobs.erase(found);
}

std::string Metrics::Series::end_origin(queue::JobId job, const nlohmann::json& body) {
  const auto remembered = job_origins.extract(job);
  const auto named = text_at(body, "origin");
  return named.empty() && !remembered.empty() ? *remembered.mapped() : origin_label(named);
}

void Metrics::Series::count_event(const queue::JobEvent& event) {
  const auto body = nlohmann::json::parse(event.body, nullptr, /*allow_exceptions=*/false);
  const std::lock_guard lock(mutex);
  if (event.kind != "preview" && event.kind != "progress") stop_waiting(event.job);
  if (event.kind == "accepted") {
    const auto origin = origin_label(text_at(body, "origin"));
    accepted.Add({{"origin", origin}}).Increment();
    if (job_origins.size() < kMaxOpen) job_origins.insert_or_assign(event.job, &*origins.find(origin));
  } else if (std::ranges::find(kOutcomes, event.kind) != std::end(kOutcomes)) {
    jobs_total.Add({{"outcome", event.kind}, {"origin", end_origin(event.job, body)}}).Increment();
  } else if (event.kind == "retrying") {
    retries.Add({{"code", std::string(traits_of(code_of(body)).name)}}).Increment();
  } else if (event.kind == "waiting" && waiting_jobs.size() < kMaxOpen) {
    const auto code = code_of(body);
    waiting_jobs.emplace(event.job, code);
    waiting.Add({{"code", std::string(traits_of(code).name)}}).Increment();
  }
}

void Metrics::Series::take_watches(const std::vector<intake::WatchStatus>& watches) {
  std::map<std::string, WatchTotals> seen;
  for (const auto& watch : watches) {
    watch_up.Add({{"watch", watch.name}}).Set(watch.up ? 1 : 0);
    watch_pending.Add({{"watch", watch.name}}).Set(static_cast<double>(watch.pending));
    auto& last = seen[watch.name] = watch_totals[watch.name];
    const auto files = [&](const char* result) -> Counter& {
      return watch_files.Add({{"watch", watch.name}, {"result", result}});
    };
    advance(files("accepted"), last.accepted, watch.accepted);
    advance(files("ignored"), last.ignored, watch.ignored);
    advance(files("duplicate"), last.duplicates, watch.duplicates);
  }
  // A watch that a reload took away must not alert for ever.
  for (const auto& [name, totals] : watch_totals) {
    if (seen.contains(name)) continue;
    watch_up.Remove(&watch_up.Add({{"watch", name}}));
    watch_pending.Remove(&watch_pending.Add({{"watch", name}}));
    for (const auto* result : {"accepted", "ignored", "duplicate"}) {
      watch_files.Remove(&watch_files.Add({{"watch", name}, {"result", result}}));
    }
  }
  watch_totals = std::move(seen);
}

Metrics::Metrics(const MetricsOptions& options) : series_(std::make_unique<Series>(options)) {}
Metrics::~Metrics() = default;

void Metrics::stage_finished(std::string_view stage, stages::Seconds took) {
  const auto known = series_->stage_histograms.find(stage);
  auto& histogram = known != series_->stage_histograms.end()
                        ? *known->second
                        : series_->stage_seconds.Add({{"stage", std::string(stage)}}, kSeconds);
  histogram.Observe(took.count());
}

void Metrics::batch_finished(const stages::BatchReport& batch) {
  series_->devices.batch_finished(batch);
  series_->saturation.batch_finished(batch);
}

void Metrics::tile_finished(bool preview) { series_->devices.tile_finished(preview); }

void Metrics::device_busy(std::string_view device, stages::Seconds computed) {
  series_->devices.device_busy(device, computed);
  series_->saturation.device_busy(device, computed);
}

void Metrics::device_starved(std::string_view device, stages::StarvedCause cause, stages::Seconds waited) {
  series_->devices.device_starved(device, cause, waited);
  series_->saturation.device_starved(device, cause, waited);
}

void Metrics::device_up(std::string_view device, bool is_up) { series_->devices.device_up(device, is_up); }

void Metrics::tiles_rerun(std::string_view device, stages::RerunReason reason, std::size_t tiles) {
  series_->devices.tiles_rerun(device, reason, tiles);
}

void Metrics::tiles_resumed(std::size_t tiles) { series_->devices.tiles_resumed(tiles); }

void Metrics::seams_measured(double ratio) { series_->devices.seams_measured(ratio); }

void Metrics::routed(const queue::Decision& decision) { series_->cascade.routed(decision); }

void Metrics::set_cascade(double rate, double threshold, double threshold_db) {
  series_->cascade.set_cascade(rate, threshold, threshold_db);
}

void Metrics::escalation_ended(std::string_view result) { series_->cascade.ended(result); }

void Metrics::cloud_transferred(Bytes sent, Bytes received) { series_->cascade.transferred(sent, received); }

void Metrics::preview_ready(stages::Seconds since_accepted) { series_->time_to_preview.Observe(since_accepted.count()); }

void Metrics::job_done(stages::Seconds since_accepted) {
  series_->job_seconds.Observe(since_accepted.count());
  series_->saturation.job_done();
}

void Metrics::on_events(const std::vector<queue::JobEvent>& events) {
  for (const auto& event : events) series_->count_event(event);
}

void Metrics::store_committed(stages::Seconds took) { series_->commit_seconds.Observe(took.count()); }

void Metrics::store_failed() { series_->store_errors.Increment(); }

void Metrics::request_answered(std::string_view op, std::string_view result) {
  const auto op_label = series_->ops.contains(op) ? op : std::string_view("unknown");
  const auto result_label = result == "ok" ? result : traits_of(error_code_from_name(result)).name;
  series_->requests.Add({{"op", std::string(op_label)}, {"result", std::string(result_label)}}).Increment();
}

void Metrics::event_published() { series_->published.Increment(); }

void Metrics::config_reloaded(bool ok) { series_->reloads.Add({{"result", ok ? "ok" : "failed"}}).Increment(); }

void Metrics::notified(std::string_view result) { series_->notifications.Add({{"result", std::string(result)}}).Increment(); }

void Metrics::hook_ended(std::string_view result) { series_->hooks.Add({{"result", std::string(result)}}).Increment(); }

void Metrics::add_load(Snapshot& snapshot) const {
  snapshot.version = series_->version;
  snapshot.uptime = std::chrono::floor<std::chrono::seconds>(series_->clock.steady_now() - series_->start);
  snapshot.jobs_done = series_->saturation.jobs_done();
  for (const auto& [name, up] : series_->devices.told_up()) {
    const bool is_listed =
        std::ranges::any_of(snapshot.devices, [&name = name](const auto& known) { return known.name == name; });
    if (!is_listed) snapshot.devices.push_back({name, up});
  }
  for (DeviceSnapshot& device : snapshot.devices) device.load = series_->saturation.of(device.name);
}

std::string Metrics::render(Snapshot snapshot) {
  add_load(snapshot);
  const std::lock_guard lock(series_->render_mutex);
  for (const auto state : kStates) {
    series_->jobs.Add({{"state", std::string(queue::name_of(state))}})
        .Set(static_cast<double>(snapshot.jobs[static_cast<std::size_t>(state)]));
  }
  for (const auto& waiting_line : snapshot.queues) {
    series_->queue_depth.Add({{"stage", waiting_line.stage}}).Set(static_cast<double>(waiting_line.depth));
    series_->queue_bytes.Add({{"stage", waiting_line.stage}}).Set(static_cast<double>(waiting_line.bytes.value));
  }
  series_->devices.show(snapshot.devices, series_->saturation.all(), snapshot.clients);
  series_->cascade.show(snapshot.cloud);
  advance(series_->guests_denied, series_->denied_before, snapshot.guests_denied);
  advance(series_->codec_starts, series_->codecs_before.started, snapshot.codecs.started);
  advance(series_->codec_crashes, series_->codecs_before.crashes, snapshot.codecs.crashes);
  advance(series_->codec_timeouts, series_->codecs_before.timeouts, snapshot.codecs.timeouts);
  series_->take_watches(snapshot.watches);
  series_->memory_budget.Set(static_cast<double>(snapshot.memory_budget.value));
  series_->memory_reserved.Set(static_cast<double>(snapshot.memory_reserved.value));
  series_->resident.Set(resident_bytes());
  return prometheus::TextSerializer().Serialize(series_->registry.Collect());
}

}  // namespace retouchd::daemon
