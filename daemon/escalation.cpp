#include "daemon/escalation.h"

#include <spdlog/spdlog.h>

#include "cloud/connection.h"
#include "config/value.h"
#include "intake/wire/key_file.h"

namespace retouchd::daemon {
namespace {

/// What a pixel costs on the way to a model server and back: three fp32 channels each way, with the tiles' overlap.
constexpr std::uint64_t kServerBytesPerPixel = 32;
/// Pixels that a byte of a picture's file stands for; a JPEG has about four.
constexpr std::uint64_t kPixelsPerByte = 3;

/// Jobs that were escalated by a daemon with another configuration are restored here.
void bring_home(queue::JobStore& store) {
  queue::JobStore::Filter page;
  page.state = queue::JobState::kEscalated;
  page.limit = 1'000;
  while (true) {
    const auto jobs = store.list(page);
    if (!jobs) return spdlog::error("escalated jobs cannot be listed: {}", jobs.error().message);
    if (jobs->empty()) return;
    for (const queue::Job& job : *jobs) {
      queue::Decision decision;
      if (auto stored = queue::decision_from_text(job.decision)) decision = *std::move(stored);
      decision.policy = job.request.policy;
      queue::fall_back(decision, queue::Route::kLocal, "node_away", "no node is configured any more");
      const auto back = store.take_back({job.id, job.epoch}, queue::to_text(decision), {}, "{}");
      if (!back) spdlog::error("job {} stays escalated: {}", job.id, back.error().message);
    }
    page.after = jobs->back().id;
  }
}

}  // namespace

Escalation::Escalation(const config::Config& config, Engine& engine, const Clock& clock)
    : cloud_(config.cloud),
      engine_(engine),
      gate_({config.cloud, config.state_dir / "cloud_budget.json", {}}, clock),
      connect_(cloud::connect_to(config.cloud)) {}

Result<std::unique_ptr<Escalation>> Escalation::open(const config::Config& config, Engine& engine, queue::JobStore& store,
                                                     cloud::EscalatorHooks hooks, const Clock& clock) {
  std::unique_ptr<Escalation> link;
  if (config.cloud.node.empty() || config::is_model_server(config.cloud.node)) bring_home(store);
  if (config.cloud.node.empty()) return link;
  link.reset(new Escalation(config, engine, clock));
  link->ended_ = hooks.ended;
  if (config::is_model_server(config.cloud.node)) return link;
  if (const auto keys = wire::read_key_file(config.cloud.key); !keys) return keys.error();
  cloud::EscalatorOptions options;
  options.cloud = config.cloud;
  options.state_dir = config.state_dir;
  options.connect = link->connect_;
  options.limits = settings_of(config).limits;
  options.limits.all_pages = false;
  options.limits.space = image::WorkingSpace::kFile;
  options.file_size = config.limits.file_size;
  options.png_level = config.output.png_level;
  options.preview_megapixels = config.preview.megapixels;
  link->escalator_ =
      std::make_unique<cloud::Escalator>(std::move(options), store, *engine.codec, link->gate_, std::move(hooks), clock);
  return link;
}

stages::Node Escalation::node() {
  stages::Node node;
  node.address = cloud_.node;
  node.route = engine_.server ? queue::Route::kServer : queue::Route::kCloud;
  node.ask = [this](Bytes size, UnixMillis deadline) {
    if (engine_.server) {
      if (!engine_.server->any_up()) return queue::Permit{false, "node_away", "the model server does not answer"};
      size = Bytes{size.value * kPixelsPerByte * kServerBytesPerPixel};
    }
    return gate_.ask(size, deadline);
  };
  return node;
}

std::optional<stages::ServerAccess> Escalation::server() {
  if (!engine_.server) return std::nullopt;
  stages::ServerAccess access;
  access.devices = engine_.server.get();
  access.describe = [this](const std::string& network) {
    // A network that is here, too, says more about itself than a server can.
    return cloud_.network.empty() ? engine_.networks->find(network) : engine_.model_server->describe(cloud_.network);
  };
  access.succeeded = [this] {
    gate_.succeeded();
    if (ended_) ended_("returned");
  };
  access.failed = [this] {
    gate_.failed();
    if (ended_) ended_("node_away");
  };
  return access;
}

Result<void> Escalation::start() {
  spdlog::info("pictures can be escalated to {}", cloud_.node);
  return escalator_ ? escalator_->start() : Result<void>();
}

void Escalation::stop() {
  if (escalator_) escalator_->stop();
}

void Escalation::on_events(const std::vector<queue::JobEvent>& events) {
  if (escalator_) escalator_->on_events(events);
}

void Escalation::configure(const config::Cloud& cloud) {
  config::Cloud fresh = cloud;  // the address and the keys take effect at the next start
  fresh.node = cloud_.node;
  fresh.server_key = cloud_.server_key;
  fresh.key = cloud_.key;
  gate_.configure(fresh);
  if (escalator_) escalator_->configure(fresh, connect_);
}

CloudSnapshot Escalation::status() {
  const auto now = gate_.status();
  return {cloud_.node, std::string(cloud::name_of(now.breaker)), now.escalations_left, now.bytes_left};
}

void Escalation::sweep() {
  if (!escalator_) return;
  if (const auto swept = escalator_->sweep(); !swept) spdlog::warn("escalated: {}", swept.error().message);
}

}  // namespace retouchd::daemon
