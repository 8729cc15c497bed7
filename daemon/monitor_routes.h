#pragma once

#include <string>
#include <vector>

#include "daemon/http_server.h"
#include "daemon/metrics.h"
#include "daemon/status_source.h"

namespace retouchd::daemon {

/// What is asked about the daemon itself:
///
///   /metrics   all series in Prometheus' text format
///   /healthz   200 {"status": "ok"} as long as the process answers at all; needs nothing else, so it cannot be held up
///   /readyz    200 {"status": "ready", "reasons": []}, or 503 {"status": "draining" | "not_ready", "reasons": ["...", ...]}
///   /          the same in a small page for people, without scripts
///
/// `metrics` must outlive the server that serves them; `source` is called from several threads.
[[nodiscard]] std::vector<HttpRoute> monitor_routes(Metrics& metrics, SnapshotSource source);

/// Why no work should be sent here now; empty when the daemon is ready. Draining is the only reason while it drains.
[[nodiscard]] std::vector<std::string> not_ready_reasons(const Snapshot& snapshot);

}  // namespace retouchd::daemon
