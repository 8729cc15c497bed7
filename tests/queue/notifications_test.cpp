#include "queue/notifications.h"

#include <gmock/gmock.h>

#include <set>

#include "store_fixture.h"

namespace retouchd::queue {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using testing::ElementsAre;

class NotificationsTest : public StoreTest {
 protected:
  void SetUp() override {
    notify_ = {"accepted", "preview", "done", "failed", "escalated"};
    open();
  }
  std::vector<Notification> due(int limit = 100) {
    auto found = store_->due_notifications(limit);
    EXPECT_TRUE(found) << found.error().message;
    return found ? *found : std::vector<Notification>();
  }
  /// "1 accepted" of what is due.
  std::vector<std::string> due_kinds(int limit = 100) {
    std::vector<std::string> kinds;
    for (const Notification& one : due(limit)) kinds.push_back(std::to_string(one.event.job) + " " + one.event.kind);
    return kinds;
  }
  std::optional<UnixMillis> next() {
    auto found = store_->next_notification();
    EXPECT_TRUE(found) << found.error().message;
    return found ? *found : std::nullopt;
  }
  void tell_all() {
    while (true) {
      const auto some = due();
      if (some.empty()) return;
      for (const Notification& one : some) ASSERT_TRUE(store_->forget_notification(one.id));
    }
  }
};

TEST_F(NotificationsTest, AreMadeForTheKindsThatWereAskedFor) {
  EXPECT_EQ(next(), std::nullopt);
  const JobId id = accept("a");
  const auto found = due();
  ASSERT_EQ(found.size(), 1U);
  const auto events = store_->events(id);
  ASSERT_TRUE(events);
  EXPECT_EQ(found[0].id.size(), 26U);
  EXPECT_EQ(found[0].attempts, 0);
  EXPECT_EQ(found[0].event.job, id);
  EXPECT_EQ(found[0].event.seq, 1);
  EXPECT_EQ(found[0].event.kind, "accepted");
  EXPECT_EQ(found[0].event.at, clock_.now());
  EXPECT_EQ(found[0].event.body, events->front().body);
  EXPECT_EQ(next(), clock_.now());
  tell_all();
  claim_one();
  EXPECT_TRUE(due().empty());  // nobody asked for "started"
  EXPECT_EQ(next(), std::nullopt);
}

TEST_F(NotificationsTest, AreNotMadeWhenNobodyAsked) {
  notify_.clear();
  open();
  bring_to(JobState::kDone, "a");
  EXPECT_TRUE(due().empty());
  EXPECT_EQ(next(), std::nullopt);
}

TEST_F(NotificationsTest, TellAJobsEventsInTheirOrder) {
  const Job done = bring_to(JobState::kDone, "a");
  const auto first = due();
  ASSERT_EQ(first.size(), 1U);
  EXPECT_EQ(first[0].event.kind, "accepted");
  ASSERT_TRUE(store_->forget_notification(first[0].id));
  const auto second = due();
  ASSERT_EQ(second.size(), 1U);
  EXPECT_EQ(second[0].event.kind, "done");
  EXPECT_NE(second[0].id, first[0].id);
  ASSERT_TRUE(store_->forget_notification(second[0].id));
  EXPECT_TRUE(due().empty());
  EXPECT_EQ(next(), std::nullopt);
  EXPECT_EQ(events_of(done.id), "accepted started done");
}

TEST_F(NotificationsTest, OfOneJobDoNotWaitForAnother) {
  const JobId first = accept("a");
  clock_.advance(seconds(1));
  accept("b");
  clock_.advance(seconds(1));
  accept("c");
  EXPECT_THAT(due_kinds(), ElementsAre("1 accepted", "2 accepted", "3 accepted"));
  EXPECT_THAT(due_kinds(2), ElementsAre("1 accepted", "2 accepted"));
  EXPECT_TRUE(due(0).empty());
  ASSERT_TRUE(store_->delay_notification(due()[0].id, clock_.now() + minutes(1)));
  ASSERT_TRUE(store_->cancel(first));
  EXPECT_THAT(due_kinds(), ElementsAre("2 accepted", "3 accepted"));
}

TEST_F(NotificationsTest, ThatFailedAreDueLaterAndCountIt) {
  accept("a");
  const std::string id = due()[0].id;
  const UnixMillis later = clock_.now() + seconds(30);
  ASSERT_TRUE(store_->delay_notification(id, later));
  EXPECT_TRUE(due().empty());
  EXPECT_EQ(next(), later);
  // The next event of the same job waits behind it.
  const Job claimed = claim_one();
  ASSERT_TRUE(store_->fail(claim_of(claimed), make_error(ErrorCode::kCorruptPicture, "bad")));
  EXPECT_TRUE(due().empty());
  EXPECT_EQ(next(), later);
  clock_.advance(seconds(30));
  const auto again = due();
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(again[0].id, id);
  EXPECT_EQ(again[0].attempts, 1);
  ASSERT_TRUE(store_->forget_notification(id));
  EXPECT_THAT(due_kinds(), ElementsAre("1 failed"));
}

TEST_F(NotificationsTest, SurviveARestartWithTheirIds) {
  accept("a");
  const std::string id = due()[0].id;
  ASSERT_TRUE(store_->delay_notification(id, clock_.now() + seconds(1)));
  ASSERT_TRUE(store_->fail(claim_of(claim_one()), make_error(ErrorCode::kCorruptPicture, "bad")));
  open();
  EXPECT_EQ(next(), clock_.now() + seconds(1));
  clock_.advance(seconds(1));
  ASSERT_EQ(due().size(), 1U);
  EXPECT_EQ(due()[0].id, id);
  EXPECT_EQ(due()[0].attempts, 1);
  ASSERT_TRUE(store_->forget_notification(id));
  EXPECT_THAT(due_kinds(), ElementsAre("1 failed"));
}

TEST_F(NotificationsTest, AreMadeForWhatARestartFinds) {
  accept("a");
  for (int crash = 0; crash < 3; ++crash) {
    claim_one();
    open();
  }
  EXPECT_THAT(due_kinds(), ElementsAre("1 accepted"));
  ASSERT_TRUE(store_->forget_notification(due()[0].id));
  EXPECT_THAT(due_kinds(), ElementsAre("1 failed"));
}

TEST_F(NotificationsTest, GoWithTheirJob) {
  const Job done = bring_to(JobState::kDone, "a");
  const std::string id = due()[0].id;
  clock_.advance(minutes(1));
  ASSERT_EQ(*store_->forget(clock_.now(), clock_.now()), 1);
  EXPECT_TRUE(due().empty());
  EXPECT_EQ(next(), std::nullopt);
  // Whoever was telling it at that moment does no harm.
  EXPECT_TRUE(store_->forget_notification(id));
  EXPECT_TRUE(store_->delay_notification(id, clock_.now()));
  EXPECT_TRUE(due().empty());
}

TEST_F(NotificationsTest, HaveIdsOfTheirOwnThatSortByTime) {
  std::vector<std::string> ids;
  std::set<std::string> different;
  for (int i = 0; i < 50; ++i) {
    accept("job" + std::to_string(i));
    clock_.advance(std::chrono::milliseconds(i % 2));
  }
  for (const Notification& one : due()) {
    ids.push_back(one.id);
    different.insert(one.id);
  }
  EXPECT_EQ(different.size(), 50U);
  EXPECT_TRUE(std::is_sorted(ids.begin(), ids.end()));
}

TEST_F(NotificationsTest, OfAnEscalationCarryTheDecision) {
  const Job running = bring_to(JobState::kRunning, "a");
  tell_all();
  ASSERT_TRUE(store_->escalate(claim_of(running), R"({"route":"cloud"})"));
  ASSERT_EQ(due().size(), 1U);
  EXPECT_EQ(due()[0].event.body, R"({"route":"cloud"})");
}

}  // namespace
}  // namespace retouchd::queue
