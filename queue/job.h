#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"

namespace retouchd::queue {

using JobId = std::int64_t;  ///< 1, 2, 3, ...; never used twice

/// States in the store; docs/architecture.md draws the transitions.
enum class JobState { kQueued, kRunning, kPublishing, kDone, kFailed, kCancelled, kEscalated };

[[nodiscard]] std::string_view name_of(JobState state) noexcept;  ///< "queued", "running", ...
[[nodiscard]] std::optional<JobState> job_state_from_name(std::string_view name) noexcept;
[[nodiscard]] constexpr bool is_terminal(JobState state) noexcept {
  return state == JobState::kDone || state == JobState::kFailed || state == JobState::kCancelled;
}

/// What the client asked for. Immutable once accepted.
struct JobRequest {
  std::string key;                     ///< idempotency key, unique; intake makes one up when the client gave none
  std::string origin;                  ///< who asked: "watch:<name>", "zmq", "run"; also the fairness class
  std::filesystem::path source;        ///< absolute path of the picture to read
  FileIdentity identity;               ///< of `source` when it was accepted
  bool spooled = false;                ///< `source` is our own copy in the spool: removed when the job ends
  std::string name;                    ///< what people call it: a path below the watch root, a file name
  std::filesystem::path output;        ///< absolute path of the result wanted; suffix is replaced when the format must change
  std::filesystem::path error_report;  ///< where a failure is reported as text; empty: nowhere
  bool overwrite = false;              ///< may replace a file that retouchd did not write
  bool preview = true;                 ///< write and announce a preview first
  std::string network;                 ///< name in the registry
  int priority = 0;                    ///< higher goes first
  std::string policy = "local";        ///< "local", "hybrid" or "progressive": who makes the full pass
  bool skip_good = false;              ///< passed on as it is when restoration would hardly improve it
  bool preview_only = false;           ///< the preview is the result
  UnixMillis deadline = kNever;        ///< fails with kDeadlinePassed when it is not done by then; earlier goes first
};

/// One job as the store knows it.
struct Job {
  JobId id = 0;
  JobRequest request;
  JobState state = JobState::kQueued;
  bool cancel_requested = false;
  std::int64_t epoch = 0;  ///< raised by every claim, never reset; a late owner cannot overwrite
  int claims = 0;          ///< how often work began
  int attempts = 0;        ///< how often it failed for a transient reason
  int crashes = 0;         ///< how often the process died during it
  UnixMillis accepted_at{};
  UnixMillis not_before{};                ///< not claimed earlier (back-off)
  std::optional<UnixMillis> started_at;   ///< of the last claim
  std::optional<UnixMillis> finished_at;  ///< of the terminal state
  std::filesystem::path output;           ///< where the result really is (or will be, in publishing); empty before
  std::filesystem::path preview;          ///< the preview file, once written
  std::string output_sha256;
  std::uint64_t output_size = 0;
  std::optional<Error> error;      ///< the last failure, also while a retry is pending
  std::string decision;            ///< JSON object (queue/decision.h): where it is restored and why; empty before that is known
  std::filesystem::path returned;  ///< what the cloud node made of it, until the result is published; else empty
  std::string details;             ///< JSON object written on completion: size, tiles, seconds per stage
};

/// The right to work on a job: this process, this epoch.
struct Claim {
  JobId id = 0;
  std::int64_t epoch = 0;
};

/// One row of the outbox: a committed transition, or (durable = false) progress that is only announced.
struct JobEvent {
  JobId job = 0;
  std::int64_t seq = 0;  ///< 1, 2, 3, ... per job, dense; 0 for progress
  std::string kind;  ///< "accepted", "started", "preview", "level", "decided", "escalated", "returned", "fell_back", "progress",
                     ///< "waiting", "retrying", "handed_back", "done", "failed", "cancel_requested", "cancelled"
  UnixMillis at{};
  std::string body;  ///< JSON object with the event's own fields
};

/// An event that somebody outside is to be told of, until he was.
struct Notification {
  std::string id;  ///< ULID; the same in every attempt
  JobEvent event;
  int attempts = 0;  ///< that failed
};

}  // namespace retouchd::queue
