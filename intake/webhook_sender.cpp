#include "intake/webhook_sender.h"

#include <pthread.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <exception>
#include <random>
#include <utility>

namespace retouchd::intake {

WebhookSender::WebhookSender(WebhookOptions options, std::chrono::seconds give_up, queue::JobStore& store, Hooks hooks,
                             const Clock& clock)
    : options_(std::move(options)), store_(store), hooks_(std::move(hooks)), clock_(clock), give_up_(give_up) {}

WebhookSender::~WebhookSender() { stop(); }

void WebhookSender::start() {
  thread_ = std::thread([this] { run(); });
}

void WebhookSender::stop() noexcept {
  stopping_.store(true);
  {
    const std::lock_guard lock(mutex_);
    is_woken_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void WebhookSender::on_events(const std::vector<queue::JobEvent>& events) noexcept {
  const bool is_wanted = std::any_of(events.begin(), events.end(), [this](const queue::JobEvent& event) {
    return std::find(options_.events.begin(), options_.events.end(), event.kind) != options_.events.end();
  });
  if (!is_wanted) return;
  {
    const std::lock_guard lock(mutex_);
    is_woken_ = true;
  }
  changed_.notify_all();
}

void WebhookSender::run() {
  pthread_setname_np(pthread_self(), "webhook");
  HttpClient http(&stopping_);
  std::minstd_rand random{std::random_device{}()};
  std::uniform_real_distribution<double> spread(0, 1);
  WebhookDelivery delivery(options_,
                           {store_, clock_, [&](const HttpRequest& request) { return http.send(request, options_.limits); },
                            hooks_.delivered, [&] { return spread(random); }});
  while (!stopping_.load()) {
    std::optional<std::chrono::milliseconds> pause = std::chrono::minutes(1);
    try {
      pause = delivery.run(give_up_.load(), stopping_);
    } catch (const std::exception& error) {
      spdlog::error("webhook: {}; notifications wait for a minute", error.what());
    }
    std::unique_lock lock(mutex_);
    const auto is_woken = [this] { return is_woken_; };
    if (pause) {
      changed_.wait_for(lock, *pause, is_woken);
    } else {
      changed_.wait(lock, is_woken);
    }
    is_woken_ = false;
  }
}

}  // namespace retouchd::intake
