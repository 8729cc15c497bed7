#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/units.h"
#include "intake/watch_status.h"
#include "queue/job_store.h"

namespace retouchd::daemon {

/// One bounded queue in front of a stage.
struct QueueSnapshot {
  std::string stage;  ///< "decode", "preview", "route", "tile", "infer", "merge", "encode"
  std::size_t depth = 0;
  Bytes bytes;
};

struct DeviceSnapshot {
  std::string name;  ///< "cpu", "cuda:0"
  bool up = true;
};

/// What a scrape or a status request sees at one moment.
struct Snapshot {
  queue::JobStore::Counts jobs{};
  std::vector<QueueSnapshot> queues;
  std::vector<DeviceSnapshot> devices;
  std::vector<intake::WatchStatus> watches;
  Bytes memory_budget;
  Bytes memory_reserved;
  bool ready = false;  ///< networks loaded, devices probed, intake open
  bool draining = false;
  std::string not_ready_reason;
};

using SnapshotSource = std::function<Snapshot()>;

}  // namespace retouchd::daemon
