#include "intake/spool.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <limits>
#include <set>
#include <system_error>

namespace retouchd::intake {
namespace {

namespace fs = std::filesystem;

std::span<const std::uint8_t> bytes_of(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

/// Takes out of `files` every source of a job in `state`.
Result<void> spare_sources(queue::JobStore& store, queue::JobState state, std::set<fs::path>& files) {
  queue::JobStore::Filter filter;
  filter.state = state;
  filter.limit = 1'000;
  while (!files.empty()) {
    auto jobs = store.list(filter);
    if (!jobs) return jobs.error();
    if (jobs->empty()) return {};
    for (const auto& job : *jobs) files.erase(job.request.source);
    filter.after = jobs->back().id;
  }
  return {};
}

}  // namespace

fs::path Spool::path_for(const std::string& key, const std::string& sha256, const std::string& suffix) const {
  constexpr std::size_t kHalf = 32;  // 128 bits of each
  return folder_ / (sha256_hex(bytes_of(key)).substr(0, kHalf) + "-" + sha256.substr(0, kHalf) + suffix);
}

Result<Spool::Entry> Spool::put(const fs::path& path, std::span<const std::uint8_t> content) const {
  if (auto made = make_folder(); !made) return made.error();
  if (auto there = identify_file(path); there && there->size == content.size()) return entry_of(path);
  auto temporary = path;
  temporary += ".part";
  if (auto written = write_file_synced(temporary, content); !written) {
    std::error_code ignored;
    fs::remove(temporary, ignored);
    return written.error();
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0)
    return error_from_errno(errno, "cannot rename " + temporary.string(), false);
  return entry_of(path);
}

Result<Spool::Entry> Spool::adopt(const fs::path& path, const fs::path& file) const {
  if (auto made = make_folder(); !made) return made.error();
  if (::link(file.c_str(), path.c_str()) == 0 || errno == EEXIST) return entry_of(path);
  constexpr Bytes kAny{std::numeric_limits<std::uint64_t>::max()};
  const auto content = read_file(file, kAny);
  if (!content) return content.error();
  return put(path, *content);
}

Result<void> Spool::make_folder() const {
  std::error_code failed;
  if (fs::exists(folder_, failed)) return {};
  if (auto made = make_directories_synced(folder_); !made) return made;
  fs::permissions(folder_, fs::perms::owner_all, failed);  // other people's pictures are in there
  return {};
}

Result<Spool::Entry> Spool::entry_of(const fs::path& path) const {
  if (auto synced = sync_directory(folder_); !synced) return synced.error();
  auto identity = identify_file(path);
  if (!identity) return identity.error();
  return Entry{path, *identity};
}

Result<int> Spool::sweep(queue::JobStore& store, std::chrono::seconds age) const {
  std::set<fs::path> orphans;
  std::error_code failed;
  const auto before = fs::file_time_type::clock::now() - age;
  for (fs::directory_iterator entry(folder_, failed), end; !failed && entry != end; entry.increment(failed)) {
    std::error_code gone;
    // What is an upload, too, takes no space of its own, and is older than its name here.
    const bool is_alone = entry->is_regular_file(gone) && entry->hard_link_count(gone) == 1;
    if (is_alone && entry->last_write_time(gone) < before) orphans.insert(entry->path());
  }
  using queue::JobState;
  // The queue twice: a job may go back to it between two questions.
  for (const JobState state : std::array{JobState::kQueued, JobState::kRunning, JobState::kPublishing, JobState::kEscalated,
                                         JobState::kFailed, JobState::kCancelled, JobState::kQueued}) {
    if (auto spared = spare_sources(store, state, orphans); !spared) return spared.error();
  }
  int removed = 0;
  for (const auto& path : orphans) removed += fs::remove(path, failed) ? 1 : 0;
  return removed;
}

}  // namespace retouchd::intake
