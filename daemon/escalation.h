#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "cloud/escalator.h"
#include "cloud/gate.h"
#include "config/config.h"
#include "daemon/engine.h"
#include "daemon/status_source.h"
#include "queue/job_store.h"
#include "stages/route_policy.h"
#include "stages/server_lane.h"

namespace retouchd::daemon {

/// The link to the node that pictures are escalated to: what the route stage asks, and for a retouchd the escalator that works on
/// escalated jobs.
/// Jobs that are away when no retouchd is configured any more come home: they are restored here.
/// Threads: on_events() and status() from any; the rest from the owner's.
class Escalation {
 public:
  /// nullptr when no node is configured. kBadConfig names the key file and the reason. `engine` (its model server), `store` and
  /// `clock` must outlive it.
  [[nodiscard]] static Result<std::unique_ptr<Escalation>> open(const config::Config& config, Engine& engine,
                                                                queue::JobStore& store, cloud::EscalatorHooks hooks,
                                                                const Clock& clock);

  [[nodiscard]] stages::Node node();
  /// Of a model server.
  [[nodiscard]] std::optional<stages::ServerAccess> server();

  [[nodiscard]] Result<void> start();
  void stop();
  void on_events(const std::vector<queue::JobEvent>& events);
  void configure(const config::Cloud& cloud);
  void sweep();
  [[nodiscard]] CloudSnapshot status();

 private:
  Escalation(const config::Config& config, Engine& engine, const Clock& clock);

  const config::Cloud cloud_;  ///< as it was at the start
  Engine& engine_;
  std::function<void(std::string_view result)> ended_;  ///< EscalatorHooks::ended
  cloud::Gate gate_;
  cloud::Connect connect_;
  std::unique_ptr<cloud::Escalator> escalator_;  ///< null: a model server
};

}  // namespace retouchd::daemon
