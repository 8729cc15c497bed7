#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "queue/job_store.h"

namespace retouchd::intake {

/// A job store in memory for tests of what stands before it: accept, get, list, events, cancel, retry and find_by_key work as the
/// real one does; jobs end when the test says so. Answers come from the caller's thread. Threads: safe.
class MemoryJobStore : public queue::JobStore {
 public:
  using Listener = std::function<void(const std::vector<queue::JobEvent>&)>;

  void accept(queue::JobRequest request, AcceptCallback done) override {
    Result<Accepted> answer = make_error(ErrorCode::kInternal, "");
    std::vector<queue::JobEvent> events;
    {
      const std::lock_guard lock(mutex_);
      answer = refusal_ ? Result<Accepted>(*refusal_) : take(std::move(request), events);
    }
    done(std::move(answer));
    tell(events);
  }

  Result<std::vector<queue::Job>> claim(const queue::ClaimRequest&) override { return std::vector<queue::Job>{}; }
  std::optional<UnixMillis> next_ready() override { return std::nullopt; }
  Result<void> record_preview(queue::Claim, const std::filesystem::path&, const std::string&) override { return {}; }
  Result<void> record_decision(queue::Claim, const std::string&) override { return {}; }
  Result<void> record_level(queue::Claim, const std::string&) override { return {}; }
  Result<void> escalate(queue::Claim, const std::string&) override { return {}; }
  Result<void> take_back(queue::Claim, const std::string&, const std::filesystem::path&, const std::string&) override {
    return {};
  }
  Result<void> begin_publishing(queue::Claim, const Publication&) override { return {}; }
  Result<void> complete(queue::Claim, const std::string&) override { return {}; }
  Result<void> retry_at(queue::Claim, const Error&, UnixMillis, bool) override { return {}; }
  Result<void> fail(queue::Claim, const Error&) override { return {}; }
  Result<void> hand_back(queue::Claim) override { return {}; }
  Result<void> finish_cancelled(queue::Claim) override { return {}; }

  Result<queue::Job> cancel(queue::JobId id) override {
    auto job = get(id);
    if (job && job->state == queue::JobState::kQueued)
      change(id, "cancelled", "{}", [](queue::Job& one) { one.state = queue::JobState::kCancelled; });
    return get(id);
  }
  Result<queue::Job> retry(queue::JobId id) override {
    auto job = get(id);
    if (job && (job->state == queue::JobState::kFailed || job->state == queue::JobState::kCancelled)) {
      change(id, "accepted", "{}", [](queue::Job& one) { one.state = queue::JobState::kQueued; });
    }
    return get(id);
  }
  Result<queue::Job> get(queue::JobId id) override {
    const std::lock_guard lock(mutex_);
    const auto found = jobs_.find(id);
    if (found == jobs_.end()) return make_error(ErrorCode::kUnknownJob, "there is no job " + std::to_string(id));
    return found->second;
  }
  Result<std::vector<queue::Job>> list(const Filter& filter) override {
    const std::lock_guard lock(mutex_);
    std::vector<queue::Job> page;
    for (auto one = jobs_.rbegin(); one != jobs_.rend() && static_cast<int>(page.size()) < filter.limit; ++one) {
      const bool fits = (filter.after == 0 || one->first < filter.after) &&
                        (!filter.state || one->second.state == *filter.state) &&
                        (filter.origin.empty() || one->second.request.origin == filter.origin);
      if (fits) page.push_back(one->second);
    }
    return page;
  }
  Result<std::vector<queue::JobEvent>> events(queue::JobId id) override {
    const std::lock_guard lock(mutex_);
    return events_[id];
  }
  Result<Counts> counts() override {
    const std::lock_guard lock(mutex_);
    Counts counts{};
    for (const auto& [id, job] : jobs_) counts[static_cast<std::size_t>(job.state)] += 1;
    return counts;
  }
  Result<std::optional<queue::Job>> find_by_key(const std::string& key) override {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, job] : jobs_) {
      if (job.request.key == key) return std::optional(job);
    }
    return std::optional<queue::Job>();
  }
  Result<bool> is_own_output(const std::filesystem::path&, const std::string&) override { return false; }
  Result<int> forget(UnixMillis, UnixMillis) override { return 0; }
  Result<std::vector<queue::Notification>> due_notifications(int) override { return std::vector<queue::Notification>{}; }
  Result<std::optional<UnixMillis>> next_notification() override { return std::optional<UnixMillis>(); }
  Result<void> forget_notification(const std::string&) override { return {}; }
  Result<void> delay_notification(const std::string&, UnixMillis) override { return {}; }
  void set_listener(Listener listener) override { listener_ = std::move(listener); }

  /// Every later accept is refused with this.
  void refuse(Error error) {
    const std::lock_guard lock(mutex_);
    refusal_ = std::move(error);
  }
  /// Changes a job and writes its event, as a transition would.
  void change(queue::JobId id, const std::string& kind, const std::string& body, const std::function<void(queue::Job&)>& edit) {
    std::vector<queue::JobEvent> events;
    {
      const std::lock_guard lock(mutex_);
      edit(jobs_.at(id));
      events.push_back(add_event(id, kind, body));
    }
    tell(events);
  }
  /// The job ends well with `output` as its result.
  void finish(queue::JobId id, const std::filesystem::path& output, const std::string& content) {
    change(id, "done", R"({"output":")" + output.string() + R"("})", [&](queue::Job& job) {
      job.state = queue::JobState::kDone;
      job.output = output;
      job.output_size = content.size();
      job.output_sha256 = sha256_hex({reinterpret_cast<const std::uint8_t*>(content.data()), content.size()});
    });
  }
  void fail_job(queue::JobId id, const Error& error) {
    change(id, "failed", R"({"code":")" + std::string(error.name()) + R"(","message":")" + error.message + R"("})",
           [&](queue::Job& job) {
             job.state = queue::JobState::kFailed;
             job.error = error;
           });
  }

 private:
  Result<Accepted> take(queue::JobRequest request, std::vector<queue::JobEvent>& events) {
    for (const auto& [id, job] : jobs_) {
      if (job.request.key != request.key) continue;
      if (job.request.output == request.output && job.request.identity == request.identity) return Accepted{id, true};
      return make_error(ErrorCode::kConflict, "the key belongs to job " + std::to_string(id));
    }
    queue::Job job;
    job.id = ++last_;
    job.request = std::move(request);
    job.accepted_at = system_clock().now();
    const std::string name = job.request.name;
    jobs_.emplace(last_, std::move(job));
    events.push_back(add_event(last_, "accepted", R"({"name":")" + name + R"("})"));
    return Accepted{last_, false};
  }
  queue::JobEvent add_event(queue::JobId id, const std::string& kind, const std::string& body) {
    auto& all = events_[id];
    all.push_back({id, static_cast<std::int64_t>(all.size()) + 1, kind, system_clock().now(), body});
    return all.back();
  }
  void tell(const std::vector<queue::JobEvent>& events) {
    if (listener_ && !events.empty()) listener_(events);
  }

  std::mutex mutex_;
  std::map<queue::JobId, queue::Job> jobs_;
  std::map<queue::JobId, std::vector<queue::JobEvent>> events_;
  std::optional<Error> refusal_;
  queue::JobId last_ = 0;
  Listener listener_;
};

}  // namespace retouchd::intake
