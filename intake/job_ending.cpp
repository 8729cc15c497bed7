#include "intake/job_ending.h"

#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <system_error>

#include "base/file.h"
#include "intake/failure_report.h"
#include "intake/originals.h"
#include "intake/watched_file.h"

namespace retouchd::intake {
namespace {

constexpr std::chrono::hours kReportsMadeUpFor{24};

/// True when another version stands at the source now.
bool is_superseded(const queue::JobRequest& request) {
  if (request.spooled) return false;
  const auto now = identify_file(request.source);
  return now && (now->size != request.identity.size || now->mtime_ns != request.identity.mtime_ns);
}

/// The second picture that was used, as the encoder noted it.
struct UsedCompanion {
  std::string name;
  FileIdentity identity;
};

std::optional<UsedCompanion> companion_of(const queue::Job& job) {
  const auto details = nlohmann::json::parse(job.details, nullptr, false);
  if (!details.is_object() || !details.contains("companion")) return std::nullopt;
  const auto& noted = details["companion"];
  UsedCompanion used;
  used.name = std::filesystem::path(noted.value("path", "")).filename().string();
  used.identity = {noted.value("device", std::uint64_t{0}), noted.value("inode", std::uint64_t{0}),
                   noted.value("size", std::uint64_t{0}), noted.value("mtime_ns", std::int64_t{0})};
  return used;
}

/// What "room.depth.png" is called beside "room.2.png", which was "room.png".
std::string name_beside(const std::string& companion, const std::filesystem::path& before, const std::filesystem::path& after) {
  const std::string stem = before.stem().string();
  return companion.starts_with(stem) ? after.stem().string() + companion.substr(stem.size()) : companion;
}

/// The second picture of a pair goes last: if the process dies between the two, what is left is no job by itself.
Result<void> finish_original(const config::Watch& watch, const queue::Job& job) {
  using OnSuccess = config::Watch::OnSuccess;
  if (watch.on_success == OnSuccess::kKeep) return {};
  const queue::JobRequest& request = job.request;
  const std::string path = request.name;
  if (request.source != watch.path / path) return {};  // of an earlier configuration
  const auto companion = companion_of(job);
  const std::string second = companion ? join_path(split_path(path).folder, companion->name) : std::string();
  if (watch.on_success == OnSuccess::kDelete) {
    const auto deleted = delete_original(watch.path, path, request.identity);
    return deleted && companion ? delete_original(watch.path, second, companion->identity) : deleted;
  }
  auto moved = move_original(watch.path, path, request.identity, watch.move_to);
  if (moved && companion) {
    moved = move_original(watch.path, second, companion->identity, watch.move_to, name_beside(companion->name, path, *moved));
  }
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
  auto finished = watch != nullptr ? finish_original(*watch, job) : Result<void>();
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
