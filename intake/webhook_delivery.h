#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/http_client.h"
#include "queue/job_store.h"

namespace retouchd::intake {

struct WebhookOptions {
  std::string url;
  std::string secret;               ///< of the signature; empty: not signed
  std::vector<std::string> events;  ///< kinds that the store makes notifications for
  std::string version;              ///< of retouchd, for the header User-Agent
  HttpLimits limits{std::chrono::seconds(5), std::chrono::seconds(15), std::chrono::seconds(15), mebibytes(1)};
};

/// What is posted about `notification`: JSON, docs/protocol.md "Webhooks". `job`: as it is now; null when it was forgotten.
[[nodiscard]] std::string webhook_body(const queue::Notification& notification, const queue::Job* job);

/// One pass over the notifications that are due: what is sent, and what becomes of it.
///
/// A notification goes again and again, with the same id, until the receiver answers 2xx; other answers but 408, 429 and 5xx
/// refuse it for good. Each failure puts it off for 5 s, then 10 s, ... up to 15 min, and meanwhile leaves the receiver in peace:
/// 5 s after the first failure in a row, 10 s after the second, ... A receiver that is away costs so one call in a quarter of an
/// hour however much waits for it. After a pause the notifications that failed least go first, so that some that the receiver
/// cannot digest do not hold up the others. Those of one job keep their order.
///
/// Threads: confined to one.
class WebhookDelivery {
 public:
  struct Surroundings {
    queue::JobStore& store;
    const Clock& clock;
    std::function<Result<HttpAnswer>(const HttpRequest&)> post;
    std::function<void(std::string_view result)> counted;  ///< "delivered", "retried" or "dropped"
    std::function<double()> chance;                        ///< 0..1; spreads the attempts of many daemons
  };

  WebhookDelivery(const WebhookOptions& options, Surroundings surroundings);

  /// Sends until nothing is due, the receiver fails or `stop` is set. How long to wait then; nullopt: until the next event.
  /// `give_up`: age of an event at which a failure is the last one.
  [[nodiscard]] std::optional<std::chrono::milliseconds> run(std::chrono::seconds give_up, const std::atomic<bool>& stop);

 private:
  enum class Outcome { kOver, kReceiverFailed, kStoreFailed };

  [[nodiscard]] Result<HttpRequest> request_for(const queue::Notification& notification, std::string& body) const;
  [[nodiscard]] Outcome deliver(const queue::Notification& notification, std::chrono::seconds give_up);
  [[nodiscard]] Outcome end(const queue::Notification& notification, std::string_view result);
  [[nodiscard]] Outcome put_off(const queue::Notification& notification, std::chrono::milliseconds at_least);
  [[nodiscard]] bool is_too_old(const queue::Notification& notification, std::chrono::seconds give_up) const;
  [[nodiscard]] std::chrono::milliseconds back_off(int failures) const;
  [[nodiscard]] Outcome note_store_failure(const Error& error);

  const WebhookOptions options_;
  const std::string receiver_;  ///< the address up to the path, which may hold a token that is nobody else's business
  const Surroundings around_;
  int failures_ = 0;  ///< of the receiver in a row
  std::chrono::steady_clock::time_point paused_until_{};
};

}  // namespace retouchd::intake
