#pragma once

#include <algorithm>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <semaphore>
#include <string>
#include <string_view>

#include "cloud/escalation_list.h"
#include "cloud/escalator.h"
#include "cloud/node_client.h"
#include "cloud/retry_budget.h"
#include "cloud/returned_files.h"
#include "queue/decision.h"

namespace retouchd::cloud {

/// What a reload may change.
struct LinkSettings {
  config::Cloud cloud;
  Connect connect;
  int version = 0;  ///< another one: connect anew
};

/// What all couriers of an Escalator share. Threads: safe, as far as they use it.
struct Dispatch {
  EscalatorOptions options;  ///< without `cloud` and `connect`, which are in `settings`
  EscalatorHooks hooks;
  queue::JobStore& store;
  image::FileCodec& codec;
  Gate& gate;
  const Clock& clock;
  EscalationList list;
  RetryBudget retries;
  ReturnedFiles files;
  std::string edge;                  ///< edge_id()
  std::binary_semaphore packing{1};  ///< one picture at a time is in memory
  std::mutex settings_mutex;
  LinkSettings settings;

  [[nodiscard]] LinkSettings current() {
    const std::lock_guard lock(settings_mutex);
    return settings;
  }

  /// What got lost is asked for again before silence means that the node is away.
  [[nodiscard]] NodeTiming timing(const LinkSettings& now) const {
    NodeTiming timing = options.timing;
    timing.request = std::min(timing.request, std::chrono::duration_cast<std::chrono::milliseconds>(now.cloud.silence) / 3);
    return timing;
  }
};

/// One worker's way with escalated jobs: sends, waits, fetches, decides what becomes of a trip that came to nothing, and tells
/// the store.
///
/// Threads: confined to one.
class Courier {
 public:
  explicit Courier(Dispatch& dispatch) : dispatch_(dispatch) {}

  /// True: the job is not escalated any more (or nobody's business); false: it is to be looked at again, as `escalation` says.
  [[nodiscard]] bool attend(Escalation& escalation);

 private:
  class Errand;

  void connect(const LinkSettings& settings);

  Dispatch& dispatch_;
  std::unique_ptr<NodeClient> client_;
  int version_ = -1;
};

}  // namespace retouchd::cloud
