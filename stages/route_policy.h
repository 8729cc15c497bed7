#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/units.h"
#include "queue/decision.h"
#include "queue/job.h"
#include "queue/permit.h"
#include "stages/settings.h"

namespace retouchd::stages {

using queue::Permit;

/// The node that pictures can be sent to.
struct Node {
  queue::Route route = queue::Route::kCloud;  ///< kCloud or kServer
  std::string address;
  std::function<Permit(Bytes size, UnixMillis deadline)> ask;  ///< granted: counts as sent
};

/// Everything that a decision is made from.
struct RouteFacts {
  const queue::JobRequest& request;
  const Settings& settings;
  bool is_pair = false;                      ///< with a companion
  bool has_pages = false;                    ///< a file of several pages
  bool has_preview = false;                  ///< the preview was restored
  std::optional<queue::ScoreParts> parts{};  ///< nullopt: not larger than a preview
  bool may_skip = false;                     ///< passing on untouched is possible, and few were of late
  std::optional<double> local_seconds{};     ///< that a full pass here would take; nullopt: not known
  const Node* node = nullptr;
};

/// Below it the restored preview shows something else than the original.
inline constexpr double kConsistentDb = 22;

/// Decides where a picture is restored. Asks the node for its permit when it comes to that; with the fallback `queue` a refused
/// picture is for the node all the same, and the code says why it has to wait.
[[nodiscard]] queue::Decision decide(const RouteFacts& facts);

}  // namespace retouchd::stages
