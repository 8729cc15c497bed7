#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "queue/job_store.h"
#include "queue/publisher.h"
#include "queue/sqlite_job_store.h"
#include "tests/hand_clock.h"
#include "tests/temporary_folder.h"

namespace retouchd::queue {

inline std::vector<std::uint8_t> bytes_of(const std::string& text) { return {text.begin(), text.end()}; }

/// Writes these bytes as a result.
inline Publisher::Write writes(std::vector<std::uint8_t> data, std::string details = "{}") {
  return [data = std::move(data), details = std::move(details)](int fd) -> Result<std::string> {
    if (::write(fd, data.data(), data.size()) != static_cast<ssize_t>(data.size())) {
      return error_from_errno(errno, "cannot write", false);
    }
    return details;
  };
}

/// A store in a fresh folder, which can be closed, or left as a killed process leaves it, and opened again.
class StoreTest : public testing::Test {
 protected:
  void SetUp() override { open(); }

  void open() {
    store_.reset();
    auto store = try_open();
    ASSERT_TRUE(store) << store.error().message;
    store_ = std::move(*store);
  }
  [[nodiscard]] Result<std::unique_ptr<JobStore>> try_open() {
    SqliteJobStoreOptions options;
    options.file = file_;
    options.boot_id = "boot-" + std::to_string(++boots_);
    options.max_crashes = 3;
    options.notify = notify_;
    options.observer.committed = [this](std::chrono::duration<double>) { ++commits_; };
    options.observer.failed = [this](const Error&, bool is_lasting) { ++(is_lasting ? lasting_failures_ : passing_failures_); };
    return open_sqlite_job_store(options, clock_);
  }

  [[nodiscard]] JobRequest request(const std::string& key) const {
    JobRequest request;
    request.key = key;
    request.origin = "zmq";
    request.source = folder_.path() / "in" / (key + ".jpg");
    request.identity = {1, 2, 3, 4};
    request.name = key + ".jpg";
    request.output = folder_.path() / "out" / (key + ".jpg");
    request.network = "builtin";
    return request;
  }
  JobId accept(const std::string& key) { return accept(request(key)); }
  JobId accept(JobRequest request) {
    auto accepted = store_->accept_and_wait(std::move(request));
    EXPECT_TRUE(accepted) << accepted.error().message;
    return accepted ? accepted->id : 0;
  }
  std::vector<Job> claim(int count, int running = 0) {
    auto jobs = store_->claim({.count = count, .running = running});
    EXPECT_TRUE(jobs) << jobs.error().message;
    return jobs ? *jobs : std::vector<Job>();
  }
  Job claim_one() {
    auto jobs = claim(1);
    EXPECT_EQ(jobs.size(), 1U);
    return jobs.empty() ? Job() : jobs.front();
  }
  Job job(JobId id) {
    auto found = store_->get(id);
    EXPECT_TRUE(found) << found.error().message;
    return found ? *found : Job();
  }
  std::int64_t count(JobState state) {
    auto counts = store_->counts();
    return counts ? (*counts)[static_cast<std::size_t>(state)] : -1;
  }
  /// "accepted started done", after checking that the numbers are dense.
  std::string events_of(JobId id) {
    auto events = store_->events(id);
    EXPECT_TRUE(events) << events.error().message;
    std::string kinds;
    std::int64_t seq = 0;
    if (!events) return kinds;
    for (const JobEvent& event : *events) {
      EXPECT_EQ(event.seq, ++seq);
      kinds += (kinds.empty() ? "" : " ") + event.kind;
    }
    return kinds;
  }
  static Claim claim_of(const Job& job) { return {job.id, job.epoch}; }
  [[nodiscard]] JobStore::Publication publication(const std::string& name) const {
    const auto out = folder_.path() / "out";
    return {out / name, out / ".retouchd-tmp" / name, std::string(64, 'a'), 10, ""};
  }
  /// Claims a job and brings it into `state`; the job as claimed.
  Job bring_to(JobState state, const std::string& key) {
    accept(key);
    Job claimed = claim_one();
    if (state == JobState::kPublishing || state == JobState::kDone) {
      EXPECT_TRUE(store_->begin_publishing(claim_of(claimed), publication(key)));
    }
    if (state == JobState::kDone) {
      EXPECT_TRUE(store_->complete(claim_of(claimed), "{}"));
    }
    if (state == JobState::kFailed) {
      EXPECT_TRUE(store_->fail(claim_of(claimed), make_error(ErrorCode::kCorruptPicture, "bad")));
    }
    if (state == JobState::kQueued) {
      EXPECT_TRUE(store_->hand_back(claim_of(claimed)));
    }
    if (state == JobState::kCancelled) {
      EXPECT_TRUE(store_->cancel(claimed.id));
      EXPECT_TRUE(store_->finish_cancelled(claim_of(claimed)));
    }
    if (state == JobState::kEscalated) {
      EXPECT_TRUE(store_->escalate(claim_of(claimed), "{}"));
    }
    EXPECT_EQ(job(claimed.id).state, state);
    return claimed;
  }

  TemporaryFolder folder_;
  std::filesystem::path file_ = folder_.path() / "jobs.sqlite";
  HandClock clock_;
  std::vector<std::string> notify_;  // from the next open() on
  int boots_ = 0;
  std::atomic<int> commits_ = 0;  // told by the store's observer, as the next two
  std::atomic<int> passing_failures_ = 0;
  std::atomic<int> lasting_failures_ = 0;
  std::unique_ptr<JobStore> store_;
};

}  // namespace retouchd::queue
