#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "queue/job_store.h"

namespace retouchd::intake {

/// The part of a job store that watched folders use, in memory: quick with thousands of jobs, counts them, can be busy for a
/// while. Its jobs are 1, 2, 3, ... Answers from the caller's thread. Threads: safe.
class WatchedJobStore : public queue::JobStore {
 public:
  /// The next `times` accepts are refused.
  void refuse_next(ErrorCode code, int times) {
    const std::lock_guard lock(mutex_);
    refusal_ = code;
    refusals_ = times;
  }
  void end(queue::JobId id, queue::JobState state, std::optional<Error> error = {}) {
    const std::lock_guard lock(mutex_);
    queue::Job& job = jobs_.at(static_cast<std::size_t>(id) - 1);
    job.state = state;
    job.error = std::move(error);
    job.finished_at = system_clock().now();
  }

  [[nodiscard]] std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return jobs_.size();
  }
  [[nodiscard]] std::vector<queue::Job> jobs() const {
    const std::lock_guard lock(mutex_);
    return jobs_;
  }
  [[nodiscard]] bool wait_for_jobs(std::size_t count) {
    std::unique_lock lock(mutex_);
    return grown_.wait_for(lock, std::chrono::seconds(30), [&] { return jobs_.size() >= count; });
  }

  void accept(queue::JobRequest request, AcceptCallback done) override { done(take(std::move(request))); }
  Result<queue::Job> get(queue::JobId id) override {
    const std::lock_guard lock(mutex_);
    if (id < 1 || static_cast<std::size_t>(id) > jobs_.size()) return make_error(ErrorCode::kUnknownJob, "no such job");
    return jobs_[static_cast<std::size_t>(id) - 1];
  }
  Result<std::optional<queue::Job>> find_by_key(const std::string& key) override {
    const std::lock_guard lock(mutex_);
    const auto found = by_key_.find(key);
    return found == by_key_.end() ? std::optional<queue::Job>() : jobs_[found->second];
  }

  // The rest belongs to the pipeline and to clients.
  Result<std::vector<queue::Job>> claim(const queue::ClaimRequest&) override { return unexpected(); }
  std::optional<UnixMillis> next_ready() override { return {}; }
  Result<void> record_preview(queue::Claim, const std::filesystem::path&, const std::string&) override { return unexpected(); }
  Result<void> record_decision(queue::Claim, const std::string&) override { return unexpected(); }
  Result<void> record_level(queue::Claim, const std::string&) override { return unexpected(); }
  Result<void> escalate(queue::Claim, const std::string&) override { return unexpected(); }
  Result<void> take_back(queue::Claim, const std::string&, const std::filesystem::path&, const std::string&) override {
    return unexpected();
  }
  Result<void> begin_publishing(queue::Claim, const Publication&) override { return unexpected(); }
  Result<void> complete(queue::Claim, const std::string&) override { return unexpected(); }
  Result<void> retry_at(queue::Claim, const Error&, UnixMillis, bool) override { return unexpected(); }
  Result<void> fail(queue::Claim, const Error&) override { return unexpected(); }
  Result<void> hand_back(queue::Claim) override { return unexpected(); }
  Result<void> finish_cancelled(queue::Claim) override { return unexpected(); }
  Result<queue::Job> cancel(queue::JobId) override { return unexpected(); }
  Result<queue::Job> retry(queue::JobId) override { return unexpected(); }
  Result<std::vector<queue::Job>> list(const Filter&) override { return unexpected(); }
  Result<std::vector<queue::JobEvent>> events(queue::JobId) override { return unexpected(); }
  Result<Counts> counts() override { return unexpected(); }
  Result<bool> is_own_output(const std::filesystem::path&, const std::string&) override { return unexpected(); }
  Result<int> forget(UnixMillis, UnixMillis) override { return unexpected(); }
  Result<std::vector<queue::Notification>> due_notifications(int) override { return unexpected(); }
  Result<std::optional<UnixMillis>> next_notification() override { return unexpected(); }
  Result<void> forget_notification(const std::string&) override { return unexpected(); }
  Result<void> delay_notification(const std::string&, UnixMillis) override { return unexpected(); }
  void set_listener(std::function<void(const std::vector<queue::JobEvent>&)>) override {}

 private:
  static Error unexpected() { return make_error(ErrorCode::kInternal, "not expected in this test"); }

  Result<Accepted> take(queue::JobRequest request) {
    const std::lock_guard lock(mutex_);
    if (refusals_ > 0) {
      --refusals_;
      return make_error(refusal_, "refused by the test");
    }
    const auto [place, is_new] = by_key_.emplace(request.key, jobs_.size());
    if (is_new) {
      queue::Job job;
      job.id = static_cast<queue::JobId>(jobs_.size()) + 1;
      job.request = std::move(request);
      job.accepted_at = system_clock().now();
      jobs_.push_back(std::move(job));
      grown_.notify_all();
    }
    return Accepted{jobs_[place->second].id, !is_new};
  }

  mutable std::mutex mutex_;
  std::condition_variable grown_;
  std::vector<queue::Job> jobs_;
  std::unordered_map<std::string, std::size_t> by_key_;  ///< index in jobs_
  ErrorCode refusal_ = ErrorCode::kBusy;
  int refusals_ = 0;
};

}  // namespace retouchd::intake
