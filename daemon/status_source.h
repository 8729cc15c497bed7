#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/units.h"
#include "daemon/fairness.h"
#include "daemon/saturation.h"
#include "intake/watch_status.h"
#include "queue/job_store.h"
#include "sandbox/codec_pool.h"

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
  std::size_t batches_in_flight = 0;  ///< being copied or computed now
  DeviceLoad load{};                  ///< by Metrics::add_load()
};

/// A job whose full pass is under way.
struct RunningSnapshot {
  queue::JobId id = 0;
  std::string name;   ///< JobRequest::name
  std::string stage;  ///< "infer"; empty when it is not known
  int done = 0;       ///< tiles
  int total = 0;      ///< 0 when it is not known yet
};

/// The node that pictures are escalated to.
struct CloudSnapshot {
  std::string node;
  std::string breaker;                    ///< "closed", "open", "half_open"
  std::optional<int> escalations_left{};  ///< nullopt: no bound
  std::optional<Bytes> bytes_left{};
};

/// What a scrape or a status request sees at one moment.
struct Snapshot {
  /// Of Snapshot::running.
  static constexpr std::size_t kMostRunning = 20;

  std::string version;             ///< of the daemon; by Metrics::add_load()
  std::string device;              ///< for people: "CPU, 2 threads"
  std::string network;             ///< the default one
  std::chrono::seconds uptime{0};  ///< by Metrics::add_load()
  queue::JobStore::Counts jobs{};
  std::uint64_t jobs_done = 0;  ///< in the last minute; by Metrics::add_load()
  std::vector<QueueSnapshot> queues;
  std::vector<DeviceSnapshot> devices;
  std::vector<ClientSnapshot> clients;
  std::vector<RunningSnapshot> running;  ///< at most kMostRunning
  std::vector<intake::WatchStatus> watches;
  std::optional<CloudSnapshot> cloud;  ///< nullopt: no node is configured
  sandbox::PoolCounts codecs;          ///< zeros without a sandbox
  std::uint64_t guests_denied = 0;     ///< connections of daemons that are not let in, since the start
  Bytes memory_budget;
  Bytes memory_reserved;
  bool ready = false;  ///< networks loaded, devices probed, intake open
  bool draining = false;
  std::string not_ready_reason;
};

using SnapshotSource = std::function<Snapshot()>;

}  // namespace retouchd::daemon
