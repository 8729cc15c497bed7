#include "stages/claimer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <set>
#include <string>
#include <thread>

#include "queue/sqlite_job_store.h"
#include "stages/stage_threads.h"
#include "tests/temporary_folder.h"

namespace retouchd::stages {
namespace {

using testing::ElementsAre;
using testing::UnorderedElementsAre;

constexpr std::uint64_t kLarge = 20 << 20;
constexpr std::uint64_t kSmall = 10 << 10;

struct CountingStage {
  static constexpr std::string_view kName = "decode";
  int processed = 0;
  Result<void> process(const RunPtr& /*run*/) {
    ++processed;
    return {};
  }
};

/// Tells how often the claimer came to rest with jobs left: only then it asks for the time.
class RestClock final : public Clock {
 public:
  [[nodiscard]] UnixMillis now() const override {
    ++rests_;
    rests_.notify_all();
    return system_clock().now();
  }
  [[nodiscard]] std::chrono::steady_clock::time_point steady_now() const override { return system_clock().steady_now(); }
  [[nodiscard]] int rests() const { return rests_; }
  void wait_for_more_than(int rests) const {
    for (int now = rests_; now <= rests; now = rests_) rests_.wait(now);
  }

 private:
  mutable std::atomic<int> rests_ = 0;
};

/// A claimer between the real store and a queue that the test empties. The device is as hungry as the test says.
class ClaimerTest : public testing::Test {
 protected:
  ClaimerTest() {
    queue::SqliteJobStoreOptions options;
    options.file = folder_.path() / "jobs.sqlite";
    options.boot_id = "boot";
    auto opened = queue::open_sqlite_job_store(options, system_clock());
    EXPECT_TRUE(opened) << opened.error().message;
    store_ = std::move(*opened);
    outcomes_.emplace(*store_, in_flight_, observer_, RetryPolicy{3, {std::chrono::milliseconds(1)}, true}, system_clock(),
                      [this] { claimer_->wake(); });
  }
  ~ClaimerTest() override { stop(); }

  void start(Claimer::Options options = {}) {
    options.wants_more = [this] { return in_flight_.count() < wanted_; };
    claimer_.emplace(options, *store_, in_flight_, *outcomes_, scheduler_, decode_, clock_);
    thread_ = std::jthread([this] { claimer_->run(); });
  }
  void stop() {
    if (!thread_.joinable()) return;
    claimer_->stop();
    thread_.join();
  }

  void accept(const std::string& name, std::uint64_t size, const std::string& origin = "zmq", UnixMillis deadline = kNever) {
    queue::JobRequest request;
    request.key = name;
    request.name = name;
    request.origin = origin;
    request.source = folder_.path() / name;
    request.output = folder_.path() / (name + ".out");
    request.identity.size = size;
    request.network = "identity";
    request.deadline = deadline;
    ASSERT_TRUE(store_->accept_and_wait(request));
  }
  /// The next runs that the claimer passes on.
  std::vector<std::string> claimed(std::size_t count) {
    std::vector<std::string> names;
    while (names.size() < count) {
      auto run = decode_.pop();
      if (!run) break;
      names.push_back((*run)->job.request.name);
      runs_.push_back(*run);
    }
    return names;
  }
  /// How many jobs wait in the store once the claimer wants none of them.
  std::int64_t queued_at_rest() {
    const int before = clock_.rests();
    claimer_->wake();
    clock_.wait_for_more_than(before);
    return queued();
  }
  std::int64_t queued() {
    stop();
    auto counts = store_->counts();
    return counts ? (*counts)[static_cast<std::size_t>(queue::JobState::kQueued)] : -1;
  }

  TemporaryFolder folder_;
  std::unique_ptr<queue::JobStore> store_;
  RestClock clock_;
  RunsInFlight in_flight_;
  PipelineObserver observer_;
  queue::TileScheduler scheduler_{16};
  queue::BoundedQueue<RunPtr> decode_{"decode", 100};
  std::optional<Outcomes> outcomes_;
  std::optional<Claimer> claimer_;
  std::vector<RunPtr> runs_;
  /// The device wants pictures until so many are in flight.
  std::atomic<std::size_t> wanted_ = 1;

 private:
  std::jthread thread_;
};

TEST_F(ClaimerTest, LargePicturesOfOneClientComeAsTheDeviceWantsThem) {
  for (int i = 0; i < 5; ++i) accept("large" + std::to_string(i), kLarge);
  wanted_ = 2;
  start();
  EXPECT_THAT(claimed(2), ElementsAre("large0", "large1"));
  wanted_ = 3;
  claimer_->wake();
  EXPECT_THAT(claimed(1), ElementsAre("large2"));
  EXPECT_EQ(queued_at_rest(), 2);
}

TEST_F(ClaimerTest, SmallPicturesAreBegunAtOnceBehindABacklogOfLargeOnes) {
  for (int i = 0; i < 5; ++i) accept("large" + std::to_string(i), kLarge);
  accept("small0", kSmall);
  accept("small1", kSmall);
  start();
  EXPECT_THAT(claimed(3), ElementsAre("large0", "small0", "small1"));
  EXPECT_EQ(queued_at_rest(), 4);
}

TEST_F(ClaimerTest, SmallPicturesAreBoundedToo) {
  accept("large", kLarge);
  for (int i = 0; i < 9; ++i) accept("small" + std::to_string(i), kSmall);
  Claimer::Options options;
  options.most_small = 3;
  start(options);
  EXPECT_THAT(claimed(4), ElementsAre("large", "small0", "small1", "small2"));
  outcomes_->failed(*runs_[1], make_error(ErrorCode::kCorruptPicture, "bad"));  // wakes it
  EXPECT_THAT(claimed(1), ElementsAre("small3"));
  EXPECT_EQ(queued_at_rest(), 5);
}

TEST_F(ClaimerTest, ClientWhoHasFewRunningIsBegunBehindTheBacklogOfOthers) {
  for (int i = 0; i < 5; ++i) accept("a" + std::to_string(i), kLarge, "a");
  accept("b0", kLarge, "b");
  accept("b1", kLarge, "b");
  accept("c0", kLarge, "c");
  Claimer::Options options;
  options.few = 1;
  start(options);
  EXPECT_THAT(claimed(3), UnorderedElementsAre("a0", "b0", "c0"));
  EXPECT_EQ(queued_at_rest(), 5);
}

TEST_F(ClaimerTest, LargePictureIsNotHeldUpByAnEndlessStreamOfSmallOnes) {
  for (int i = 0; i < 3; ++i) accept("large" + std::to_string(i), kLarge);
  for (int i = 0; i < 60; ++i) accept("small" + std::to_string(i), kSmall);
  start();
  std::set<std::string> names;
  std::size_t ended = 0;
  for (int i = 0; i < 24; ++i) {
    names.insert(claimed(1).front());
    while (runs_.size() - ended > 4) {  // small ones end, one large one stays
      auto& run = *runs_[ended++];
      if (run.job.request.name != "large0") outcomes_->failed(run, make_error(ErrorCode::kCorruptPicture, "bad"));
    }
  }
  EXPECT_TRUE(names.contains("large1"));
}

TEST_F(ClaimerTest, NoMoreAreInFlightThanAllowed) {
  for (int i = 0; i < 9; ++i) accept("large" + std::to_string(i), kLarge);
  wanted_ = 100;
  Claimer::Options options;
  options.most_in_flight = 4;
  start(options);
  EXPECT_EQ(claimed(4).size(), 4U);
  claimer_->wake();
  EXPECT_EQ(queued(), 5);
}

TEST_F(ClaimerTest, PictureThatArrivesWhileItWaitsIsClaimed) {
  start();
  accept("late", kLarge);
  claimer_->wake();
  EXPECT_THAT(claimed(1), ElementsAre("late"));
}

TEST_F(ClaimerTest, RunWhoseDeadlinePassedFailsAtTheNextStage) {
  CountingStage stage;
  accept("late", kLarge, "zmq", system_clock().now() + std::chrono::hours(1));
  start();
  auto run = decode_.pop();
  ASSERT_TRUE(run);
  struct Later final : Clock {
    [[nodiscard]] UnixMillis now() const override { return system_clock().now() + std::chrono::hours(2); }
    [[nodiscard]] std::chrono::steady_clock::time_point steady_now() const override { return system_clock().steady_now(); }
  } later;
  queue::BoundedQueue<RunPtr> in("in", 1);
  ASSERT_TRUE(in.push(*run));
  in.close();
  run_stage(stage, in, [](const PictureRun&) { return nullptr; }, *outcomes_, observer_, later);
  EXPECT_EQ(stage.processed, 0);
  const auto job = store_->get(1);
  ASSERT_TRUE(job);
  EXPECT_EQ(job->state, queue::JobState::kFailed);
  ASSERT_TRUE(job->error);
  EXPECT_EQ(job->error->code, ErrorCode::kDeadlinePassed);
  EXPECT_EQ(job->error->stage, "decode");
}

}  // namespace
}  // namespace retouchd::stages
