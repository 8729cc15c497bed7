#include "intake/watch_set.h"

#include <gtest/gtest.h>

#include <chrono>

#include "tests/temporary_folder.h"
#include "watched_job_store.h"

namespace retouchd::intake {
namespace {

using namespace std::chrono_literals;

class WatchSetTest : public testing::Test {
 protected:
  config::Watch watch(const std::string& name) const {
    config::Watch watch;
    watch.name = name;
    watch.path = scratch_.path() / name;
    watch.output = scratch_.path() / (name + "-out");
    watch.settle = 20ms;
    watch.settle_unseen = 40ms;
    std::filesystem::create_directories(watch.path);
    return watch;
  }

  static queue::JobEvent event(queue::JobId job, const char* kind) {
    queue::JobEvent event;
    event.job = job;
    event.kind = kind;
    return event;
  }

  TemporaryFolder scratch_;
  WatchedJobStore store_;
  const WatchSet::Options options_{"small", true, {}, {}};
};

TEST_F(WatchSetTest, WatchesAllItsFolders) {
  WatchSet set(store_);
  set.replace({watch("a"), watch("b")}, options_);
  write_text(scratch_.path() / "a/1.jpg", "1");
  write_text(scratch_.path() / "b/2.jpg", "2");
  ASSERT_TRUE(store_.wait_for_jobs(2));
  const auto status = set.status();
  ASSERT_EQ(status.size(), 2U);
  EXPECT_EQ(status[0].name, "a");
  EXPECT_EQ(status[1].name, "b");
}

TEST_F(WatchSetTest, AReloadAddsAndRemovesFolders) {
  WatchSet set(store_);
  set.replace({watch("a"), watch("b")}, options_);
  write_text(scratch_.path() / "b/1.jpg", "1");
  ASSERT_TRUE(store_.wait_for_jobs(1));
  const auto b = watch("b");
  set.replace({b, watch("c")}, options_);
  write_text(scratch_.path() / "a/2.jpg", "not watched");
  write_text(scratch_.path() / "c/3.jpg", "3");
  ASSERT_TRUE(store_.wait_for_jobs(2));
  EXPECT_EQ(store_.jobs()[1].request.origin, "watch:c");
  ASSERT_EQ(set.status().size(), 2U);
  EXPECT_EQ(set.status()[1].name, "c");
  set.replace({}, options_);
  EXPECT_TRUE(set.status().empty());
}

TEST_F(WatchSetTest, AReloadLeavesSameWatchesUndisturbed) {
  WatchSet set(store_);
  set.replace({watch("a")}, options_);
  write_text(scratch_.path() / "a/1.jpg", "1");
  ASSERT_TRUE(store_.wait_for_jobs(1));
  while (set.status()[0].accepted == 0) std::this_thread::yield();
  set.replace({watch("a")}, options_);
  EXPECT_EQ(set.status()[0].accepted, 1U);  // a new one would count from zero
}

TEST_F(WatchSetTest, WritesAndRemovesFailureReports) {
  WatchSet set(store_);
  set.replace({watch("a")}, options_);
  write_text(scratch_.path() / "a/sub/1.jpg", "1");
  ASSERT_TRUE(store_.wait_for_jobs(1));
  const auto report = scratch_.path() / "a-out/sub/1.jpg.error.txt";

  store_.end(1, queue::JobState::kFailed, make_error(ErrorCode::kCorruptPicture, "no picture"));
  set.on_event(event(1, "failed"));
  while (!std::filesystem::exists(report)) std::this_thread::yield();
  store_.end(1, queue::JobState::kDone);
  set.on_event(event(1, "done"));
  set.stop();
  EXPECT_FALSE(std::filesystem::exists(report));
}

TEST_F(WatchSetTest, FinishesJobsThatEndWhileDraining) {
  auto moving = watch("a");
  moving.on_success = config::Watch::OnSuccess::kMove;
  moving.move_to = scratch_.path() / "originals";
  WatchSet set(store_);
  set.replace({moving}, options_);
  write_text(scratch_.path() / "a/1.jpg", "1");
  ASSERT_TRUE(store_.wait_for_jobs(1));
  set.drain();
  store_.end(1, queue::JobState::kDone);
  set.on_event(event(1, "done"));
  set.stop();
  EXPECT_TRUE(std::filesystem::exists(scratch_.path() / "originals/1.jpg"));
  EXPECT_TRUE(set.status().empty());
  set.on_event(event(1, "done"));  // too late, and harmless
}

TEST_F(WatchSetTest, StaysOutOfTheResultsOfOtherWatches) {
  const auto a = watch("a");
  auto b = watch("b");
  b.output = a.path / "from-b";
  WatchSet set(store_);
  set.replace({a, b}, options_);
  write_text(b.output / "result.jpg", "1");
  write_text(a.path / "own.jpg", "1");
  ASSERT_TRUE(store_.wait_for_jobs(1));
  set.stop();
  EXPECT_EQ(store_.jobs()[0].request.name, "own.jpg");
  EXPECT_EQ(store_.size(), 1U);
}

TEST_F(WatchSetTest, ReportsJobsOfOtherOriginsToo) {
  WatchSet set(store_);
  queue::JobRequest request;
  request.key = "mine";
  request.origin = "zmq";
  request.name = "x.jpg";
  request.source = scratch_.path() / "x.jpg";
  request.error_report = scratch_.path() / "x.jpg.error.txt";
  ASSERT_TRUE(store_.accept_and_wait(request));
  store_.end(1, queue::JobState::kFailed, make_error(ErrorCode::kInputMissing, "x.jpg is not there"));
  set.on_event(event(1, "failed"));
  set.stop();
  EXPECT_TRUE(std::filesystem::exists(request.error_report));
}

}  // namespace
}  // namespace retouchd::intake
