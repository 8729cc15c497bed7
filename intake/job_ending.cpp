#include "intake/job_ending.h"

#include <chrono>
#include <system_error>

#include "base/file.h"
#include "intake/failure_report.h"
#include "intake/originals.h"

namespace retouchd::intake {
namespace {

constexpr std::chrono::hours kReportsMadeUpFor{24};

/// True when another version stands at the source now.
bool is_superseded(const queue::JobRequest& request) {
  if (request.spooled) return false;
  const auto now = identify_file(request.source);
  return now && (now->size != request.identity.size || now->mtime_ns != request.identity.mtime_ns);
}

Result<void> finish_original(const config::Watch& watch, const queue::JobRequest& request) {
  using OnSuccess = config::Watch::OnSuccess;
  if (watch.on_success == OnSuccess::kKeep) return {};
  const std::string path = request.name;
  if (request.source != watch.path / path) return {};  // of an earlier configuration
  if (watch.on_success == OnSuccess::kDelete) return delete_original(watch.path, path, request.identity);
  const auto moved = move_original(watch.path, path, request.identity, watch.move_to);
  if (!moved) return moved.error();
  return {};
}

}  // namespace

Result<void> finish_job(const config::Watch* watch, const queue::Job& job) {
  if (job.state == queue::JobState::kFailed) {
    if (is_superseded(job.request)) return {};
    return write_failure_report(job);
  }
  if (job.state != queue::JobState::kDone) return {};
  auto removed = remove_failure_report(job);
  auto finished = watch != nullptr ? finish_original(*watch, job.request) : Result<void>();
  return finished ? removed : finished;
}

Result<void> make_up_for(const config::Watch& watch, const queue::Job& job, UnixMillis now) {
  if (job.state == queue::JobState::kDone) {
    return watch.on_success == config::Watch::OnSuccess::kMove ? finish_job(&watch, job) : remove_failure_report(job);
  }
  if (job.state != queue::JobState::kFailed || now - job.finished_at.value_or(job.accepted_at) > kReportsMadeUpFor) return {};
  std::error_code error;
  if (job.request.error_report.empty() || std::filesystem::exists(job.request.error_report, error)) return {};
  return finish_job(&watch, job);
}

}  // namespace retouchd::intake
