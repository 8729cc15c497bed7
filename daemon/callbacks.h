#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "config/config.h"
#include "daemon/metrics.h"
#include "intake/hook_runner.h"
#include "intake/webhook_sender.h"
#include "queue/job_store.h"

namespace retouchd::daemon {

/// Who is told of what happens to jobs: the user's commands, and a receiver over HTTP when one is configured.
/// Threads: on_events() is safe; the others belong to the owner.
class Callbacks {
 public:
  /// Kinds of events that the store must make notifications for.
  [[nodiscard]] static std::vector<std::string> notify(const config::Callbacks& callbacks);

  /// kBadConfig: the secret cannot be used. `store`, `metrics` and `clock` must outlive what is returned.
  [[nodiscard]] static Result<std::unique_ptr<Callbacks>> open(const config::Config& config, queue::JobStore& store,
                                                               Metrics& metrics, const Clock& clock);

  void start();
  /// Ends within about a second, and hooks within their grace.
  void stop() noexcept;

  void on_events(const std::vector<queue::JobEvent>& events) noexcept;
  /// What a reload may change.
  void configure(const config::Callbacks& callbacks, const config::Hooks& hooks);

 private:
  Callbacks(const config::Config& config, queue::JobStore& store, Metrics& metrics);

  intake::HookRunner hooks_;
  std::unique_ptr<intake::WebhookSender> webhook_;  ///< null: nobody is told
};

}  // namespace retouchd::daemon
