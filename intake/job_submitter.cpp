#include "intake/job_submitter.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

namespace retouchd::intake {
namespace {

constexpr std::chrono::milliseconds kShortestHold{1'000};
constexpr std::chrono::milliseconds kLongestHold{30'000};

}  // namespace

void RecentKeys::insert(const std::string& key) {
  if (generations_[0].size() >= kCapacity / 2) {
    std::swap(generations_[0], generations_[1]);
    generations_[0].clear();
  }
  generations_[0].insert(std::hash<std::string>{}(key));
}

bool RecentKeys::contains(const std::string& key) const {
  const std::size_t hash = std::hash<std::string>{}(key);
  return generations_[0].contains(hash) || generations_[1].contains(hash);
}

JobSubmitter::JobSubmitter(queue::JobStore& store, std::shared_ptr<Inbox> inbox, const Clock& clock, std::string watch, int limit,
                           std::function<void(const Answer&)> answered)
    : store_(store),
      inbox_(std::move(inbox)),
      clock_(clock),
      watch_(std::move(watch)),
      limit_(limit),
      answered_(std::move(answered)) {}

JobSubmitter::Lookup JobSubmitter::look_up(const std::string& key) {
  if (known_.contains(key)) return {Standing::kKnown, std::nullopt};
  auto job = store_.find_by_key(key);
  if (!job) {
    hold_back(job.error());
    return {Standing::kUnclear, std::nullopt};
  }
  if (!job->has_value()) return {Standing::kNew, std::nullopt};
  known_.insert(key);
  ++duplicates_;
  return {Standing::kKnown, std::move(*job)};
}

bool JobSubmitter::ready() const { return outstanding_ < limit_ && clock_.steady_now() >= held_until_; }

std::optional<JobSubmitter::TimePoint> JobSubmitter::held_until() const {
  if (outstanding_ >= limit_ || clock_.steady_now() >= held_until_) return std::nullopt;
  return held_until_;
}

void JobSubmitter::submit(queue::JobRequest request) {
  ++outstanding_;
  std::string key = request.key;
  std::string name = request.name;
  store_.accept(std::move(request), [inbox = inbox_, weak = weak_from_this(), key = std::move(key),
                                     name = std::move(name)](const Result<queue::JobStore::Accepted>& result) {
    inbox->post([weak, key, name, result] {
      if (const auto self = weak.lock()) self->take_answer(key, name, result);
    });
  });
}

void JobSubmitter::take_answer(const std::string& key, const std::string& name, const Result<queue::JobStore::Accepted>& result) {
  --outstanding_;
  bool again = false;
  if (result) {
    known_.insert(key);
    ++(result->duplicate ? duplicates_ : accepted_);
    if (hold_ != hold_.zero()) spdlog::info("watch {}: jobs are taken again", watch_);
    hold_ = hold_.zero();
  } else if (result.error().code == ErrorCode::kConflict) {
    // The same version of the file under other settings (output folder, priority): it has its job.
    known_.insert(key);
    ++duplicates_;
  } else if (traits_of(result.error().code).transient) {
    again = true;
    hold_back(result.error());
  } else {
    spdlog::warn("watch {}: {} was refused: {} ({})", watch_, name, result.error().message, result.error().name());
  }
  if (answered_) answered_({name, again});
}

void JobSubmitter::hold_back(const Error& error) {
  if (clock_.steady_now() < held_until_) return;  // one refusal of many that were on the way
  if (hold_ == hold_.zero()) spdlog::warn("watch {}: waiting, {} ({})", watch_, error.message, error.name());
  hold_ = std::clamp(2 * hold_, kShortestHold, kLongestHold);
  held_until_ = clock_.steady_now() + hold_;
}

}  // namespace retouchd::intake
