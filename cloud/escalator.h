#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/units.h"
#include "cloud/connection.h"
#include "cloud/gate.h"
#include "cloud/node_calls.h"
#include "config/config.h"
#include "image/file_codec.h"
#include "queue/job_store.h"

namespace retouchd::cloud {

/// What others want to know of escalations. All may be empty; all are called from the escalator's threads and must be quick.
struct EscalatorHooks {
  std::function<void(queue::JobId job, std::int64_t done, std::int64_t total)> progress = {};  ///< tiles on the node
  std::function<void(Bytes sent, Bytes received)> transferred = {};
  /// One picture's trip is over, or could not begin: "returned", "timeout", "node_away", "refused", "bad_answer", "cancelled",
  /// "over_budget".
  std::function<void(std::string_view result)> ended = {};
  /// How long the job would take here: with less time than that before its deadline it is taken back.
  std::function<std::chrono::milliseconds(const queue::Job& job)> local_estimate = {};
};

struct EscalatorOptions {
  config::Cloud cloud;
  std::filesystem::path state_dir;
  Connect connect;             ///< to cloud.node: connect_to(cloud)
  image::DecodeLimits limits;  ///< for the pictures that are sent and those that come back
  Bytes file_size = mebibytes(512);
  int png_level = 3;                ///< of pictures that are sent as PNG
  double preview_megapixels = 1.0;  ///< of the pass that `fallback: local_preview` makes
  NodeTiming timing = {};
  std::chrono::milliseconds tick{250};  ///< breaker, deadlines and waiting jobs are looked at so often
};

/// Works on the store's escalated jobs: sends each picture to the node (another retouchd), waits, fetches and checks the result,
/// and gives the job back to the queue with `returned`, or without it and with a decision that says what is to be done here
/// (`fallback`, a route and the reason).
///
/// Everything it needs to go on is in the store and in <state_dir>/escalated; either side may die at any moment. A picture has
/// the key "<edge id>:<job>:<epoch>" on the node, so that it is restored there once however often it is asked for.
///
/// What falls back: with `fallback: local_full` and `local_preview` a picture whose node is away, busy, too slow, or gives up.
/// With `queue` it stays escalated until the node does it; only what the node refuses for good, a wrong answer, or a deadline
/// that comes near ends that, as with local_full. A source that cannot be read any more is taken back: the pipeline says why.
///
/// Who asks the gate: the route stage before it escalates. With `fallback: queue` it escalates even when the gate refuses, and
/// leaves the permit's code ("over_budget", "node_away") in the decision: for such a job the escalator asks before it is sent.
///
/// While the breaker is open the node is pinged, so that it closes by itself.
///
/// Threads: `cloud.parallel` + 1 of its own. start() and stop() from one thread; the others from any.
class Escalator {
 public:
  /// `store`, `codec`, `gate` and `clock` must outlive it.
  Escalator(EscalatorOptions options, queue::JobStore& store, image::FileCodec& codec, Gate& gate, EscalatorHooks hooks,
            const Clock& clock = system_clock());
  /// stop()s.
  ~Escalator();
  Escalator(const Escalator&) = delete;
  Escalator& operator=(const Escalator&) = delete;

  /// Makes its folder, removes what nobody waits for (sweep), and goes on with the jobs that are escalated. Once. Errors: those
  /// of the store and of writing.
  [[nodiscard]] Result<void> start();
  /// Within a second or so, unless a large picture is being packed or checked; jobs under way stay escalated, for the next start.
  void stop();

  /// From the store's listener: takes note and returns at once.
  void on_events(const std::vector<queue::JobEvent>& events);

  /// After a reload, for pictures that begin from now on; `parallel` stays as it was at the start.
  void configure(const config::Cloud& cloud, Connect connect);

  /// Removes the files of a job that ended. on_events() does it for "done", "failed" and "cancelled".
  void remove_returned(queue::JobId job);
  /// Removes the files that no job waits for. kStoreFailed when the store cannot tell.
  [[nodiscard]] Result<void> sweep();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace retouchd::cloud
