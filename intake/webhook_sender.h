#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string_view>
#include <thread>
#include <vector>

#include "intake/webhook_delivery.h"

namespace retouchd::intake {

/// Tells an HTTP receiver of job events, at least once and in the order of each job, from the notifications that the store keeps:
/// what was not delivered when the process ends goes after the next start. How and how often: WebhookDelivery.
///
/// One thread sends; it sleeps until an event of a wanted kind or until the next attempt is due. A receiver that is slow or away
/// holds nothing else up.
///
/// Threads: on_events() and set_give_up() are safe; start() and stop() belong to the owner.
class WebhookSender {
 public:
  struct Hooks {
    std::function<void(std::string_view result)> delivered;  ///< "delivered", "retried" or "dropped", from the sender's thread
  };

  /// `store` and `clock` must be there until stop() has returned; on_events() may still be called then.
  WebhookSender(WebhookOptions options, std::chrono::seconds give_up, queue::JobStore& store, Hooks hooks,
                const Clock& clock = system_clock());
  ~WebhookSender();

  void start();
  /// Ends within about a second, breaking off what is under way. Again is harmless.
  void stop() noexcept;

  /// From the store's listener: looks whether there is something to send. Never blocks.
  void on_events(const std::vector<queue::JobEvent>& events) noexcept;

  /// A notification that still fails when its event is so old is dropped.
  void set_give_up(std::chrono::seconds give_up) noexcept { give_up_.store(give_up); }

 private:
  void run();

  const WebhookOptions options_;
  queue::JobStore& store_;
  const Hooks hooks_;
  const Clock& clock_;
  std::atomic<std::chrono::seconds> give_up_;
  std::atomic<bool> stopping_ = false;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_woken_ = false;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace retouchd::intake
