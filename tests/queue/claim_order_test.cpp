#include "queue/claim_order.h"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include <map>
#include <set>

#include "store_fixture.h"

namespace retouchd::queue {
namespace {

using std::chrono::minutes;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class ClaimOrderTest : public StoreTest {
 protected:
  struct Ask {
    std::string key;
    std::string origin = "zmq";
    int priority = 0;
    std::uint64_t size = 1 << 20;
    UnixMillis deadline = kNever;
  };
  JobId accept_job(const Ask& ask) {
    JobRequest wanted = request(ask.key);
    wanted.origin = ask.origin;
    wanted.priority = ask.priority;
    wanted.identity.size = ask.size;
    wanted.deadline = ask.deadline;
    return accept(wanted);
  }
  std::vector<std::string> keys(const ClaimRequest& wanted) {
    std::vector<std::string> keys;
    auto jobs = store_->claim(wanted);
    EXPECT_TRUE(jobs);
    if (jobs) {
      for (const Job& one : *jobs) keys.push_back(one.request.key);
    }
    return keys;
  }
};

TEST_F(ClaimOrderTest, PriorityThenDeadlineThenAge) {
  accept_job({.key = "a"});
  accept_job({.key = "b", .deadline = clock_.now() + minutes(9)});
  accept_job({.key = "c", .deadline = clock_.now() + minutes(3)});
  accept_job({.key = "d", .priority = 1});
  accept_job({.key = "e"});
  EXPECT_THAT(keys({.count = 9}), ElementsAre("d", "c", "b", "a", "e"));
}

TEST_F(ClaimOrderTest, OriginsTakeTurnsInBytes) {
  for (int i = 0; i < 6; ++i) accept_job({.key = "large" + std::to_string(i), .origin = "watch:large", .size = 4 << 20});
  for (int i = 0; i < 20; ++i) accept_job({.key = "small" + std::to_string(i), .origin = "zmq", .size = 1 << 20});
  std::map<char, int> claimed;
  for (const std::string& key : keys({.count = 15})) ++claimed[key[0]];
  EXPECT_NEAR(claimed['l'], 3, 1);  // a quarter as many, of four times the size; one in eight goes by age
  EXPECT_EQ(claimed['l'] + claimed['s'], 15);
}

TEST_F(ClaimOrderTest, TinyFilesCostAsMuchAsOnesOfAQuarterMebibyte) {
  for (int i = 0; i < 40; ++i) accept_job({.key = "tiny" + std::to_string(i), .origin = "a", .size = 1});
  for (int i = 0; i < 4; ++i) accept_job({.key = "quarter" + std::to_string(i), .origin = "b", .size = 256 << 10});
  std::map<char, int> claimed;
  for (const std::string& key : keys({.count = 6})) ++claimed[key[0]];
  EXPECT_EQ(claimed['q'], 3);
}

TEST_F(ClaimOrderTest, NewcomerNeitherOwesNorOwns) {
  for (int i = 0; i < 40; ++i) accept_job({.key = "a" + std::to_string(i), .origin = "a"});
  EXPECT_EQ(keys({.count = 10}).size(), 10U);
  for (int i = 0; i < 40; ++i) accept_job({.key = "b" + std::to_string(i), .origin = "b"});
  std::map<char, int> claimed;
  for (const std::string& key : keys({.count = 16})) ++claimed[key[0]];
  EXPECT_NEAR(claimed['a'], 8, 2);
}

TEST_F(ClaimOrderTest, EveryEighthJobIsTheOldestWhateverItsPriority) {
  for (int i = 0; i < 3; ++i) accept_job({.key = "old" + std::to_string(i)});
  for (int i = 0; i < 30; ++i) accept_job({.key = "new" + std::to_string(i), .priority = 9});
  const auto claimed = keys({.count = 24});
  ASSERT_EQ(claimed.size(), 24U);
  for (std::size_t i = 0; i < claimed.size(); ++i) {
    EXPECT_EQ(claimed[i] == "old" + std::to_string(i / 8), i % 8 == 7) << i << ": " << claimed[i];
  }
}

TEST_F(ClaimOrderTest, TheTurnOfTheOldestWaitsForARequestThatLeavesNothingOut) {
  accept_job({.key = "large", .size = 9 << 20});
  for (int i = 0; i < 12; ++i) accept_job({.key = "s" + std::to_string(i), .priority = 5, .size = 10});
  EXPECT_THAT(keys({.count = 10, .largest_file = kSmallFile.value}), Not(testing::Contains("large")));
  EXPECT_THAT(keys({}), ElementsAre("large"));
}

TEST_F(ClaimOrderTest, OnlySmallOnesWhenOnlySmallOnesAreWanted) {
  accept_job({.key = "large", .priority = 5, .size = 5 << 20});
  accept_job({.key = "at the limit", .size = kSmallFile.value});
  accept_job({.key = "above it", .size = kSmallFile.value + 1});
  accept_job({.key = "tiny", .size = 5});
  EXPECT_THAT(keys({.count = 9, .largest_file = 100}), ElementsAre("tiny"));
  EXPECT_THAT(keys({.count = 9, .largest_file = kSmallFile.value}), ElementsAre("at the limit"));
  EXPECT_THAT(keys({.count = 9, .largest_file = 3 << 20}), ElementsAre("above it"));
  EXPECT_THAT(keys({.count = 9}), ElementsAre("large"));
}

TEST_F(ClaimOrderTest, OriginsLeftOutAreSkippedWhateverTheirPriority) {
  for (int i = 0; i < 5; ++i) accept_job({.key = "a" + std::to_string(i), .origin = "a", .priority = 9});
  accept_job({.key = "b", .origin = "b", .priority = 1});
  accept_job({.key = "c", .origin = "c", .priority = 2});
  accept_job({.key = "d", .origin = "", .priority = 0});
  EXPECT_THAT(keys({.count = 1, .not_from = {"a"}}), ElementsAre("c"));
  EXPECT_THAT(keys({.count = 9, .not_from = {"a", "c"}}), ElementsAre("b", "d"));
  EXPECT_THAT(keys({.count = 9, .not_from = {"a"}}), IsEmpty());
}

TEST_F(ClaimOrderTest, ManyOriginsAllGetTheirTurns) {
  constexpr int kOrigins = 200;
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < kOrigins; ++i) {
      const std::string origin = "o" + std::to_string(i);
      accept_job({.key = origin + "." + std::to_string(round), .origin = origin});
    }
  }
  std::map<std::string, int> claimed;
  for (int i = 0; i < kOrigins + kOrigins / 2; ++i) {
    for (const std::string& key : keys({})) ++claimed[key.substr(0, key.find('.'))];
  }
  EXPECT_GT(claimed.size(), 170U);  // 64 are looked at each time
}

TEST_F(ClaimOrderTest, JobsWhoseDeadlinesHavePassedFailBeforeAnyWork) {
  const JobId late = accept_job({.key = "late", .deadline = clock_.now() + minutes(1)});
  accept_job({.key = "early", .deadline = clock_.now() + minutes(3)});
  accept_job({.key = "none"});
  clock_.advance(minutes(1));
  EXPECT_THAT(keys({.count = 1}), ElementsAre("early"));
  EXPECT_EQ(job(late).state, JobState::kFailed);
  EXPECT_EQ(job(late).error->code, ErrorCode::kDeadlinePassed);
  EXPECT_EQ(job(late).claims, 0);
  EXPECT_EQ(events_of(late), "accepted failed");
  EXPECT_EQ(count(JobState::kFailed), 1);
  EXPECT_EQ(count(JobState::kQueued), 1);
}

TEST_F(ClaimOrderTest, RetryForgetsADeadlineThatHasPassed) {
  const JobId late = accept_job({.key = "late", .deadline = clock_.now() + minutes(1)});
  clock_.advance(minutes(2));
  EXPECT_THAT(keys({}), IsEmpty());
  ASSERT_TRUE(store_->retry(late));
  EXPECT_EQ(job(late).request.deadline, kNever);
  EXPECT_THAT(keys({}), ElementsAre("late"));
}

TEST_F(ClaimOrderTest, TheSameKeyWithANewDeadlineIsTheSameJob) {
  const JobId first = accept_job({.key = "a", .deadline = clock_.now() + minutes(1)});
  EXPECT_EQ(accept_job({.key = "a", .deadline = clock_.now() + minutes(2)}), first);
}

TEST_F(ClaimOrderTest, SuspectsWaitForARequestThatLeavesNothingOut) {
  accept_job({.key = "suspect", .size = 10});
  EXPECT_THAT(keys({}), ElementsAre("suspect"));
  open();  // the process died during it
  EXPECT_THAT(keys({.largest_file = kSmallFile.value}), IsEmpty());
  EXPECT_THAT(keys({.running = 1}), IsEmpty());
  EXPECT_THAT(keys({}), ElementsAre("suspect"));
}

/// Every question of a claim must be answered by a seek in its index, without sorting.
TEST_F(ClaimOrderTest, QuestionsAreSeeksInTheirIndexes) {
  accept_job({.key = "a"});
  store_.reset();
  Database database(file_, Database::Role::kReader);
  const std::string ready = " WHERE state='queued' AND not_before=0 AND crashes=0";
  const auto plan = [&](const std::string& question) {
    Statement explain = database.prepare("EXPLAIN QUERY PLAN " + question);
    std::string text;
    for (Rows rows = explain.query(); rows.next();) text += rows.text(3) + "; ";
    return text;
  };
  const std::string plans[] = {
      plan("SELECT priority, deadline FROM job INDEXED BY job_ready" + ready +
           " AND size<=?1 ORDER BY priority DESC, deadline LIMIT 1"),
      plan("SELECT id, origin, size FROM job INDEXED BY job_ready_small" + ready +
           " AND size<=1048576 AND priority=?1 AND deadline=?2 AND origin>=?3 AND size<=?4 ORDER BY origin, id LIMIT 1"),
      plan("SELECT id, origin, size, priority, deadline FROM job INDEXED BY job_ready_origin" + ready +
           " AND origin>=?1 AND size<=?2 ORDER BY origin, priority DESC, deadline, id LIMIT 1"),
      plan("SELECT id, origin, size FROM job INDEXED BY job_ready_oldest" + ready + " ORDER BY id LIMIT 1"),
  };
  for (const std::string& one : plans) {
    EXPECT_THAT(one, HasSubstr("USING INDEX job_ready"));
    EXPECT_THAT(one, Not(HasSubstr("TEMP B-TREE")));
  }
}

}  // namespace
}  // namespace retouchd::queue
