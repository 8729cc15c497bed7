#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>

#include "base/clock.h"
#include "base/units.h"
#include "cloud/incoming.h"
#include "cloud/node_calls.h"
#include "cloud/outgoing.h"

namespace retouchd::cloud {

/// One picture's way to the node and back.
struct Trip {
  Parcel parcel;
  std::string key;                                  ///< names the picture on the node: asked for twice, it is restored once
  std::string network;                              ///< empty: the node's default
  UnixMillis deadline = kNever;                     ///< of the job; the node gets the seconds that are left
  std::chrono::steady_clock::time_point give_up{};  ///< not a moment longer
  bool may_be_known = false;                        ///< sent before, perhaps: ask for the result before anything is uploaded
  std::filesystem::path partial;                    ///< beginning of the names of files for what has come back so far
  Bytes most_back;                                  ///< a larger result is refused
};

/// What has come back, not looked at yet: see accept_result().
struct Fetched {
  std::filesystem::path part;
  Announced announced;
};

/// Carries pictures to another retouchd and back, whatever breaks in between: uploads and downloads go on where they were, a
/// submit that was lost is repeated with its key, a job that the node has forgotten is submitted again. After every answer that
/// did not come the connection is made anew, and the node is asked what it has before anything is sent again: a cut costs at most
/// one chunk. Chunks have 64 KiB to 1 MiB, so that each takes about two seconds: a slow link is not silent.
///
/// The node is not trusted: whatever it answers, a trip ends by `give_up`, sends not much more than the picture, and takes not
/// more than `most_back`.
///
/// Threads: confined to one.
class NodeClient {
 public:
  /// `gate`, `retries` and `clock` must outlive it.
  NodeClient(Connect connect, NodeTiming timing, Gate& gate, RetryBudget& retries, const Clock& clock);

  [[nodiscard]] Step<Fetched> carry(const Trip& trip, const TripWatch& watch);

  /// Asks the node to end the job that the last trip was about. One attempt, within `patience`.
  void cancel(std::chrono::milliseconds patience, const TripWatch& watch);

  /// Whether the node answers. One attempt, which the breaker learns of.
  [[nodiscard]] bool ping(const TripWatch& watch);

  [[nodiscard]] Bytes sent() const noexcept { return calls_.sent(); }  ///< in the last trip, also what was sent twice
  [[nodiscard]] Bytes received() const noexcept { return calls_.received(); }
  [[nodiscard]] std::int64_t remote_job() const noexcept { return remote_job_; }  ///< of the last trip; 0: none was named

 private:
  class Journey;

  NodeTiming timing_;
  const Clock& clock_;
  NodeCalls calls_;
  std::int64_t remote_job_ = 0;
};

}  // namespace retouchd::cloud
