#include "daemon/callbacks.h"

#include <spdlog/spdlog.h>

#include <utility>

#include "intake/webhook_signature.h"

namespace retouchd::daemon {

std::vector<std::string> Callbacks::notify(const config::Callbacks& callbacks) {
  return callbacks.url.empty() ? std::vector<std::string>() : callbacks.events;
}

Callbacks::Callbacks(const config::Config& config, queue::JobStore& store, Metrics& metrics)
    : hooks_(config.hooks, store, {[&metrics](std::string_view result) { metrics.hook_ended(result); }}) {}

Result<std::unique_ptr<Callbacks>> Callbacks::open(const config::Config& config, queue::JobStore& store, Metrics& metrics,
                                                   const Clock& clock) {
  std::unique_ptr<Callbacks> callbacks(new Callbacks(config, store, metrics));
  if (config.callbacks.url.empty()) return callbacks;
  intake::WebhookOptions options{config.callbacks.url, {}, notify(config.callbacks), RETOUCHD_VERSION};
  if (config.callbacks.secret_file.empty()) {
    spdlog::warn("notifications are not signed: whoever reaches the receiver can send it others (`callbacks.secret_file`)");
  } else {
    auto secret = intake::read_webhook_secret(config.callbacks.secret_file);
    if (!secret) return secret.error();
    options.secret = *std::move(secret);
  }
  callbacks->webhook_ = std::make_unique<intake::WebhookSender>(
      std::move(options), config.callbacks.give_up, store,
      intake::WebhookSender::Hooks{[&metrics](std::string_view result) { metrics.notified(result); }}, clock);
  return callbacks;
}

void Callbacks::start() {
  hooks_.start();
  if (webhook_) webhook_->start();
}

void Callbacks::stop() noexcept {
  hooks_.stop();
  if (webhook_) webhook_->stop();
}

void Callbacks::on_events(const std::vector<queue::JobEvent>& events) noexcept {
  hooks_.on_events(events);
  if (webhook_) webhook_->on_events(events);
}

void Callbacks::configure(const config::Callbacks& callbacks, const config::Hooks& hooks) {
  hooks_.set(hooks);
  if (webhook_) webhook_->set_give_up(callbacks.give_up);
}

}  // namespace retouchd::daemon
