#include "cloud/returned_files.h"

#include <charconv>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "base/file.h"

namespace retouchd::cloud {
namespace {

namespace fs = std::filesystem;

struct Owner {
  queue::Claim claim;
  std::string_view rest;  ///< of the name: "send", "png", ...
};

std::optional<std::int64_t> take_number(std::string_view& text) {
  std::int64_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc() || end == text.data() + text.size() || *end != '.') return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()) + 1);
  return number;
}

/// nullopt: not one of our names.
std::optional<Owner> owner_of(std::string_view name) {
  const auto job = take_number(name);
  const auto epoch = job ? take_number(name) : std::nullopt;
  if (!epoch) return std::nullopt;
  return Owner{{*job, *epoch}, name};
}

bool is_result(std::string_view rest) { return rest == "png" || rest == "jpg"; }

}  // namespace

Result<void> ReturnedFiles::prepare() const {
  std::error_code failed;
  if (fs::is_directory(folder_, failed)) return {};
  if (auto made = make_directories_synced(folder_); !made) return made;
  fs::permissions(folder_, fs::perms::owner_all, failed);  // other people's pictures are in there
  return {};
}

fs::path ReturnedFiles::stem(queue::Claim claim) const {
  return folder_ / (std::to_string(claim.id) + "." + std::to_string(claim.epoch));
}

fs::path ReturnedFiles::parcel(queue::Claim claim) const {
  auto path = stem(claim);
  path += ".send";
  return path;
}

template <class Condition>
void ReturnedFiles::remove_where(Condition condition) const {
  std::vector<fs::path> unwanted;
  std::error_code failed;
  for (fs::directory_iterator entry(folder_, failed), end; !failed && entry != end; entry.increment(failed)) {
    const std::string name = entry->path().filename().string();
    if (const auto owner = owner_of(name); owner && condition(*owner)) unwanted.push_back(entry->path());
  }
  for (const auto& path : unwanted) fs::remove(path, failed);
}

std::set<queue::JobId> ReturnedFiles::jobs() const {
  std::set<queue::JobId> jobs;
  remove_where([&](const Owner& owner) {
    jobs.insert(owner.claim.id);
    return false;
  });
  return jobs;
}

void ReturnedFiles::remove(queue::Claim claim) const {
  remove_where([&](const Owner& owner) { return owner.claim.id == claim.id && owner.claim.epoch == claim.epoch; });
}

void ReturnedFiles::remove_all_but_result(queue::Claim claim) const {
  remove_where([&](const Owner& owner) {
    return owner.claim.id == claim.id && owner.claim.epoch == claim.epoch && !is_result(owner.rest);
  });
}

void ReturnedFiles::remove(queue::JobId job) const {
  remove_where([&](const Owner& owner) { return owner.claim.id == job; });
}

Result<void> ReturnedFiles::sweep(queue::JobStore& store) const {
  std::map<queue::JobId, std::optional<queue::Job>> jobs;
  std::optional<Error> failure;
  remove_where([&](const Owner& owner) {
    auto known = jobs.find(owner.claim.id);
    if (known == jobs.end() && !failure) {
      auto job = store.get(owner.claim.id);
      if (!job && job.error().code != ErrorCode::kUnknownJob) failure = job.error();
      known = jobs.emplace(owner.claim.id, job ? std::optional(std::move(*job)) : std::nullopt).first;
    }
    if (failure) return false;
    const auto& job = known->second;
    if (!job || queue::is_terminal(job->state)) return true;
    if (job->state == queue::JobState::kEscalated) return owner.claim.epoch != job->epoch;
    auto path = stem(owner.claim);
    path += "." + std::string(owner.rest);
    return path != job->returned;
  });
  if (failure) return *failure;
  return {};
}

}  // namespace retouchd::cloud
