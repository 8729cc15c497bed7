#include "queue/job_recovery.h"

#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "base/file.h"
#include "queue/file_placement.h"
#include "queue/job_rows.h"

namespace retouchd::queue {
namespace {

struct Orphan {
  Job job;
  std::filesystem::path temporary;
  std::string replaces;  ///< sha256 of our own older file at the target; empty: nothing
};

std::vector<Orphan> find_orphans(Database& database) {
  Statement find = database.prepare("SELECT " + kJobColumns + " FROM job WHERE state IN('running','publishing') ORDER BY id");
  Statement publication = database.prepare("SELECT temporary, replaces_sha256 FROM job WHERE id=?1");
  std::vector<Orphan> orphans;
  Rows rows = find.query();
  while (rows.next()) {
    Orphan orphan{read_job(rows), {}, {}};
    Rows more = publication.query(orphan.job.id);
    if (more.next()) {
      orphan.temporary = more.text(0);
      orphan.replaces = more.text(1);
    }
    orphans.push_back(std::move(orphan));
  }
  return orphans;
}

bool has_content(const std::filesystem::path& file, const std::string& sha256) {
  if (sha256.empty()) return false;
  const auto found = sha256_hex_of_file(file);
  return found && *found == sha256;
}

/// True when the result stands at its place, durably.
bool is_published(const Orphan& orphan) {
  const Job& job = orphan.job;
  if (job.state != JobState::kPublishing) return false;
  if (has_content(job.output, job.output_sha256)) return sync_directory(job.output.parent_path()).ok();
  if (!has_content(orphan.temporary, job.output_sha256)) return false;
  // The rules of the publisher: what stands there is replaced only when it is ours or the job may.
  const bool replace = job.request.overwrite || has_content(job.output, orphan.replaces);
  const auto placed = place_file(orphan.temporary, job.output, replace ? Existing::kReplace : Existing::kKeep);
  if (!placed) spdlog::warn("job {} is restored again: {}", job.id, placed.error().message);
  return placed.ok();
}

void remove_leftovers(const std::vector<Orphan>& orphans) {
  std::set<std::filesystem::path> folders;
  for (const Orphan& orphan : orphans) {
    const Job& job = orphan.job;
    for (const auto& file : {job.request.output, job.request.error_report, job.output, job.preview}) {
      if (!file.empty()) folders.insert(file.parent_path());
    }
  }
  for (const auto& folder : folders) remove_abandoned(folder);
}

}  // namespace

void recover_jobs(Database& database, JobTransitions& transitions, int max_crashes) {
  const std::vector<Orphan> orphans = find_orphans(database);
  if (orphans.empty()) return;
  std::vector<bool> published;
  published.reserve(orphans.size());
  for (const Orphan& orphan : orphans) published.push_back(is_published(orphan));

  database.execute("BEGIN IMMEDIATE");
  int finished = 0;
  for (std::size_t i = 0; i < orphans.size(); ++i) {
    const Job& job = orphans[i].job;
    if (published[i] && transitions.complete({job.id, job.epoch}, "{}")) {
      ++finished;
    } else {
      transitions.record_crash(job, max_crashes);
    }
  }
  database.execute("COMMIT");
  remove_leftovers(orphans);
  spdlog::warn("retouchd had ended during {} jobs: {} were complete, {} start again or failed", orphans.size(), finished,
               orphans.size() - static_cast<std::size_t>(finished));
}

}  // namespace retouchd::queue
