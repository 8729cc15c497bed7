#include "daemon/service.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <csignal>

#include "base/file.h"
#include "config/changes.h"
#include "config/reader.h"
#include "daemon/housekeeping.h"
#include "daemon/logging.h"
#include "daemon/models_json.h"
#include "daemon/monitor_routes.h"
#include "intake/wire/request.h"
#include "queue/sqlite_job_store.h"

namespace retouchd::daemon {
namespace {

constexpr std::chrono::minutes kHousekeepingPause{60};
constexpr std::chrono::seconds kDeviceCheck{5};
/// Shorter than DeviceWorker::Options::hopeless, after which jobs would fail.
constexpr std::chrono::seconds kWithoutDevice{60};

/// The watches with what they take over from the rest of the configuration.
std::vector<config::Watch> watches_of(const config::Config& config) {
  using SkipGood = config::Watch::SkipGood;
  std::vector<config::Watch> watches = config.watch;
  for (config::Watch& watch : watches) {
    if (watch.policy.empty()) watch.policy = config.cascade.policy;
    if (watch.skip_good == SkipGood::kAuto) watch.skip_good = config.cascade.skip_good ? SkipGood::kYes : SkipGood::kNo;
  }
  return watches;
}

/// What the threshold means in decibels.
double threshold_db(const Engine& engine) {
  return (engine.calibration ? *engine.calibration : stages::Calibration::built_in()).threshold_db();
}

/// What other daemons have not fetched yet is old, too, but not forgotten.
config::Retention retention_of(const config::Config& config) {
  config::Retention retention = config.retention;
  if (config.role == config::Config::Role::kCloud)
    retention.done = std::max(retention.done, std::chrono::ceil<std::chrono::hours>(config.serve.keep));
  return retention;
}

intake::WatchSet::Options watch_options(const config::Config& config) {
  return {config.network, config.preview.enabled, std::string(config.output.suffix()), {config.state_dir}};
}

}  // namespace

class Service::Reporter final : public stages::PipelineObserver {
 public:
  Reporter(Metrics& metrics, ServiceNotifier& notifier) : metrics_(metrics), notifier_(notifier) {}

  void stage_finished(std::string_view stage, stages::Seconds took) override {
    metrics_.stage_finished(stage, took);
    if (stage == stages::Decode::kName || stage == stages::Encode::kName) notifier_.progress();
  }
  void batch_finished(const stages::BatchReport& batch) override {
    metrics_.batch_finished(batch);
    notifier_.progress();
  }
  void tile_finished(bool preview) override { metrics_.tile_finished(preview); }
  void device_busy(std::string_view device, stages::Seconds computed) override { metrics_.device_busy(device, computed); }
  void device_up(std::string_view device, bool is_up) override { metrics_.device_up(device, is_up); }
  void tiles_rerun(std::string_view device, stages::RerunReason reason, std::size_t tiles) override {
    metrics_.tiles_rerun(device, reason, tiles);
  }
  void tiles_resumed(std::size_t tiles) override { metrics_.tiles_resumed(tiles); }
  void seams_measured(double ratio) override { metrics_.seams_measured(ratio); }
  void routed(const queue::Decision& decision) override { metrics_.routed(decision); }
  void device_starved(std::string_view device, stages::StarvedCause cause, stages::Seconds waited) override {
    metrics_.device_starved(device, cause, waited);
  }
  void preview_ready(stages::Seconds since_accepted) override { metrics_.preview_ready(since_accepted); }
  void job_done(stages::Seconds since_accepted) override { metrics_.job_done(since_accepted); }

 private:
  Metrics& metrics_;
  ServiceNotifier& notifier_;
};

Service::Service(config::Config config, std::optional<std::filesystem::path> config_file, config::Environment environment)
    : config_(std::move(config)),
      config_file_(std::move(config_file)),
      environment_(std::move(environment)),
      clock_(system_clock()),
      io_(1),
      signals_(io_, SIGTERM, SIGINT, SIGHUP),
      housekeeping_timer_(io_),
      device_timer_(io_),
      progress_(clock_, [this](const queue::JobEvent& event) { events_.publish({event}); }) {}

Service::~Service() {
  if (draining_thread_.joinable()) draining_thread_.join();
  housekeeping_.join();
  http_.reset();
  zmq_.reset();
  guests_.reset();
  if (watches_) watches_->stop();
  if (escalation_) escalation_->stop();
  if (pipeline_) pipeline_->drain(std::chrono::steady_clock::now());
  if (callbacks_) callbacks_->stop();
  store_.reset();  // its last commits are told to the pipeline and the watches, which go after it
}

Result<void> Service::open_folders() {
  std::error_code ignored;
  const bool is_new = !std::filesystem::exists(config_.state_dir, ignored);
  for (const auto& folder : {config_.state_dir, config_.state_dir / "previews", config_.runtime_dir}) {
    if (auto made = make_directories_synced(folder); !made) return made;
  }
  // Previews and copies of people's pictures are not for everybody on the machine. A folder that was there keeps its mode.
  if (is_new) std::filesystem::permissions(config_.state_dir, std::filesystem::perms(0750), ignored);
  auto lock = queue::StateLock::acquire(config_.state_dir);
  if (!lock) return lock.error();
  lock_.emplace(*std::move(lock));
  return {};
}

Result<void> Service::start() {
  if (auto opened = open_folders(); !opened) return opened;
  auto engine = open_engine(config_, measurements_file(config_));
  if (!engine) return engine.error();
  engine_ = *std::move(engine);

  MetricsOptions about;
  about.version = RETOUCHD_VERSION;
  about.libtorch = inference::libtorch_version();
  for (const auto& device : engine_.devices->members()) {
    if (!about.device.empty()) about.device += ",";
    about.device += device->device->name();
  }
  about.network = config_.network;
  for (const std::string_view op : wire::operation_names()) about.request_ops.emplace_back(op);
  metrics_ = std::make_unique<Metrics>(about);
  metrics_->set_cascade(config_.cascade.rate, config_.cascade.threshold, threshold_db(engine_));
  notifier_ = std::make_unique<ServiceNotifier>(io_, [this] { return is_idle(); });
  reporter_ = std::make_unique<Reporter>(*metrics_, *notifier_);

  queue::SqliteJobStoreOptions options;
  options.file = config_.state_dir / "jobs.sqlite";
  options.notify = Callbacks::notify(config_.callbacks);
  options.observer.committed = [this](std::chrono::duration<double> took) { metrics_->store_committed(took); };
  options.observer.failed = [this](const Error&, bool is_lasting) {
    metrics_->store_failed();
    if (!is_lasting) return;
    // Nothing can be recorded any more. What was acknowledged is on disk; the next start goes on from there.
    must_start_anew_.store(true);
    io_.stop();
  };
  options.boot_id = std::to_string(::getpid()) + "@" + std::to_string(clock_.now().time_since_epoch().count());
  auto store = queue::open_sqlite_job_store(options, clock_);
  if (!store) return store.error();
  store_ = *std::move(store);
  auto callbacks = Callbacks::open(config_, *store_, *metrics_, clock_);
  if (!callbacks) return callbacks.error();
  callbacks_ = *std::move(callbacks);

  auto escalation = Escalation::open(config_, engine_, *store_, escalator_hooks(), clock_);
  if (!escalation) return escalation.error();
  escalation_ = *std::move(escalation);

  Pipeline::Surroundings surroundings{*store_,
                                      *engine_.codec,
                                      *engine_.networks,
                                      *engine_.devices,
                                      *reporter_,
                                      clock_,
                                      [this](queue::JobId id, int done, int total) { progress_.note(id, done, total); }};
  if (escalation_) {
    surroundings.node = escalation_->node();
    surroundings.server = escalation_->server();
  }
  pipeline_ = std::make_unique<Pipeline>(pipeline_options(config_, engine_), surroundings);
  watches_ = std::make_unique<intake::WatchSet>(*store_, clock_,
                                                [this](const std::string& network, const std::filesystem::path& picture) {
                                                  return companion_of(*engine_.networks, network, picture);
                                                });
  store_->set_listener([this](const std::vector<queue::JobEvent>& events) { on_events(events); });

  if (auto started = start_intake(); !started) return started;
  if (auto started = start_http(); !started) return started;
  pipeline_->start();
  callbacks_->start();
  return escalation_ ? escalation_->start() : Result<void>();
}

Result<void> Service::start_intake() {
  intake::Admission::Options options{config_.state_dir,           config_.limits, config_.network, config_.cascade,
                                     !config_.cloud.node.empty(), config_.serve,  config_.output};
  intake::Admission::Hooks hooks;
  hooks.networks = [this] {
    std::vector<std::string> names;
    for (const auto& network : engine_.networks->contents()->networks) names.push_back(network.name);
    return names;
  };
  hooks.draining = [this] { return draining_.load(); };
  admission_ = std::make_unique<intake::Admission>(std::move(options), *store_, std::move(hooks), clock_);
  if (config_.zmq.enabled) {
    auto server = intake::ZmqServer::start({config_.zmq, RETOUCHD_VERSION}, *store_, *admission_, events_, zmq_hooks());
    if (!server) return server.error();
    zmq_ = *std::move(server);
    spdlog::info("requests at {}, events at {}", config_.zmq.requests, config_.zmq.events);
  }
  if (config_.role == config::Config::Role::kCloud) {
    auto server = intake::GuestServer::start({config_.serve, RETOUCHD_VERSION}, *store_, *admission_, zmq_hooks());
    if (!server) return server.error();
    guests_ = *std::move(server);
    spdlog::info("restoring for other daemons at {} ({} keys known); its cloud.server_key is \"{}\"", config_.serve.listen,
                 guests_->clients(), guests_->public_key());
  }
  watches_->replace(watches_of(config_), watch_options(config_));
  for (const auto& watch : config_.watch) spdlog::info("watching {} -> {}", watch.path.string(), watch.output.string());
  return {};
}

Result<void> Service::start_http() {
  if (!config_.http.enabled) return {};
  HttpServerOptions options;
  options.listen = config_.http.listen;
  auto server = HttpServer::start(io_, options, monitor_routes(*metrics_, [this] { return snapshot(); }));
  if (!server) {
    // Nobody asked for this very port; pictures matter more.
    if (!config_.file.empty()) return server.error();
    spdlog::warn("no metrics and no status page: {}", server.error().message);
    return {};
  }
  http_ = *std::move(server);
  spdlog::info("metrics and status page on {} (port {})", config_.http.listen, http_->port());
  return {};
}

void Service::on_events(const std::vector<queue::JobEvent>& events) {
  progress_.on_events(events);
  events_.publish(events);
  metrics_->on_events(events);
  callbacks_->on_events(events);
  pipeline_->on_events(events);
  if (escalation_) escalation_->on_events(events);
  for (const queue::JobEvent& event : events) {
    watches_->on_event(event);
    if (event.kind == "failed") spdlog::warn("job {} failed: {}", event.job, event.body);
  }
}

int Service::run() {
  await_signal();
  keep_house();
  watch_devices();
  ready_.store(true);
  notifier_->ready(summary());
  notifier_->start_watchdog();
  spdlog::info("retouchd {} is ready", RETOUCHD_VERSION);
  io_.run();
  spdlog::info("stopped");
  return must_start_anew_.load() ? 1 : 0;
}

void Service::await_signal() {
  signals_.async_wait([this](const boost::system::error_code& error, int signal) {
    if (error) return;
    if (signal == SIGHUP) {
      reload();
    } else if (draining_.load()) {
      spdlog::warn("stopping at once; jobs in flight are taken up again at the next start");
      ::_exit(128 + signal);
    } else {
      begin_drain();
    }
    await_signal();
  });
}

void Service::begin_drain() {
  draining_.store(true);
  spdlog::info("draining: nothing new is begun, jobs in flight get up to {} s", config_.drain_timeout.count());
  notifier_->stopping();
  housekeeping_timer_.cancel();
  device_timer_.cancel();
  draining_thread_ = std::thread([this] {
    watches_->drain();
    if (escalation_) escalation_->stop();  // what is away stays escalated
    pipeline_->drain(std::chrono::steady_clock::now() + config_.drain_timeout);
    watches_->stop();
    callbacks_->stop();
    if (zmq_) zmq_->stop();
    if (guests_) guests_->stop();
    boost::asio::post(io_, [this] {
      if (http_) http_->stop();
      io_.stop();
    });
  });
}

void Service::reload() {
  if (draining_.load()) return;
  notifier_->reloading();
  auto fresh = config::load_config(config_file_, environment_);
  if (fresh) {
    // New and replaced weights, too: pictures that have begun end with the version that they began with.
    engine_.networks->rescan(registry_options(*fresh));
    if (const auto network = engine_.networks->find(fresh->network); !network) fresh = network.error();
  }
  auto calibration = fresh ? load_calibration(*fresh) : Result<std::shared_ptr<const stages::Calibration>>(fresh.error());
  if (!calibration) {
    fresh = calibration.error();
  } else {
    engine_.calibration = *std::move(calibration);
  }
  metrics_->config_reloaded(fresh.ok());
  if (!fresh) {
    spdlog::error("the configuration stays as it was; not reloaded:\n{}", fresh.error().message);
  } else {
    for (const std::string& key : config::needs_restart(config_, *fresh))
      spdlog::warn("`{}` changed; that takes effect at the next start", key);
    apply_log_level(fresh->log);
    pipeline_->set_settings(pipeline_options(*fresh, engine_).settings);
    pipeline_->set_retry(retry_of(*fresh));
    watches_->replace(watches_of(*fresh), watch_options(*fresh));
    admission_->reconfigure(fresh->limits, fresh->network, fresh->cascade, fresh->serve, fresh->output);
    if (escalation_) escalation_->configure(fresh->cloud);
    metrics_->set_cascade(fresh->cascade.rate, fresh->cascade.threshold, threshold_db(engine_));
    config_.cascade = fresh->cascade;
    config_.cloud = fresh->cloud;
    if (guests_) {
      if (auto known = guests_->reload_clients(fresh->serve.clients); !known)
        spdlog::error("{}; the keys that were known stay", known.error().message);
    }
    config_.serve = fresh->serve;
    callbacks_->configure(fresh->callbacks, fresh->hooks);
    config_.callbacks = fresh->callbacks;
    config_.hooks = fresh->hooks;
    config_.network = fresh->network;
    config_.watch = fresh->watch;
    config_.drain_timeout = fresh->drain_timeout;
    config_.preview = fresh->preview;
    config_.output = fresh->output;
    config_.limits = fresh->limits;
    config_.retry = fresh->retry;
    config_.retention = fresh->retention;
    config_.log = fresh->log;
    spdlog::info("configuration reloaded");
  }
  notifier_->ready(summary());
}

std::string Service::summary() const { return "restoring with " + config_.network + " on " + engine_.devices->description(); }

void Service::keep_house() {
  // Old jobs and files are looked for on a thread of their own: the disk may be slow.
  boost::asio::post(housekeeping_, [this, retention = retention_of(config_)] {
    forget_old(*store_, retention, config_.state_dir, clock_);
    if (const auto swept = admission_->spool().sweep(*store_, std::chrono::hours(1)); !swept)
      spdlog::warn("spool: {}", swept.error().message);
    if (const int swept = admission_->uploads().sweep(); swept > 0) spdlog::info("{} old uploads removed", swept);
  });
  boost::asio::post(housekeeping_, [this] {
    if (escalation_) escalation_->sweep();
  });
  housekeeping_timer_.expires_after(kHousekeepingPause);
  housekeeping_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) keep_house();
  });
}

void Service::watch_devices() {
  const auto now = clock_.steady_now();
  if (pipeline_->any_device_up() || is_idle()) {
    devices_lost_at_.reset();
  } else if (!devices_lost_at_) {
    devices_lost_at_ = now;
  } else if (now - *devices_lost_at_ >= kWithoutDevice) {
    // Some errors of a GPU stay until the process that met them is gone.
    spdlog::error("no device has answered for {} s; leaving, so that the service manager starts retouchd anew. Jobs go on then",
                  kWithoutDevice.count());
    must_start_anew_.store(true);
    io_.stop();
    return;
  }
  device_timer_.expires_after(kDeviceCheck);
  device_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) watch_devices();
  });
}

}  // namespace retouchd::daemon
