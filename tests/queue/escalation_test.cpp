// Jobs that are restored elsewhere.

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "queue/decision.h"
#include "store_fixture.h"

namespace retouchd::queue {
namespace {

using nlohmann::json;
using std::chrono::minutes;

class EscalationTest : public StoreTest {
 protected:
  static std::string decision(Route route) {
    Decision decision;
    decision.policy = "hybrid";
    decision.route = route;
    decision.reason = "it lost much";
    decision.score = 0.4;
    decision.threshold = 0.9;
    return to_text(decision);
  }
  /// A job that was sent away.
  Job escalated(const std::string& key) {
    accept(key);
    const Job claimed = claim_one();
    EXPECT_TRUE(store_->escalate(claim_of(claimed), decision(Route::kCloud)));
    return claimed;
  }
  /// A running job whose result came back from a cloud node.
  Job returned(const std::string& key) {
    const Job away = escalated(key);
    EXPECT_TRUE(store_->take_back(claim_of(away), decision(Route::kCloud), file_from_cloud_, "{}"));
    return claim_one();
  }
  json last_event(JobId id) {
    const auto events = store_->events(id);
    EXPECT_TRUE(events);
    return json::parse(events->back().body);
  }
  static ErrorCode code_of(const Result<void>& result) {
    EXPECT_FALSE(result);
    return result ? ErrorCode::kInternal : result.error().code;
  }

  const std::filesystem::path file_from_cloud_ = "/state/escalated/1.1.png";
};

TEST_F(EscalationTest, TheStateHasAName) {
  EXPECT_EQ(name_of(JobState::kEscalated), "escalated");
  EXPECT_EQ(job_state_from_name("escalated"), JobState::kEscalated);
  EXPECT_FALSE(is_terminal(JobState::kEscalated));
}

TEST_F(EscalationTest, ADecisionIsStoredAndAnnounced) {
  const Job running = bring_to(JobState::kRunning, "a");
  EXPECT_EQ(job(running.id).decision, "");
  ASSERT_TRUE(store_->record_decision(claim_of(running), decision(Route::kLocal)));
  EXPECT_EQ(job(running.id).decision, decision(Route::kLocal));
  EXPECT_EQ(last_event(running.id), json::parse(decision(Route::kLocal)));
  ASSERT_TRUE(store_->record_level(claim_of(running), R"({"megapixels":4})"));
  EXPECT_EQ(last_event(running.id), (json{{"megapixels", 4}}));
  EXPECT_EQ(events_of(running.id), "accepted started decided level");
  open();
  EXPECT_EQ(job(running.id).decision, decision(Route::kLocal));
}

TEST_F(EscalationTest, AnEscalatedJobWaitsForWhoSentItAway) {
  const Job away = escalated("a");
  const Job seen = job(away.id);
  EXPECT_EQ(seen.state, JobState::kEscalated);
  EXPECT_EQ(seen.epoch, away.epoch);
  EXPECT_EQ(seen.decision, decision(Route::kCloud));
  EXPECT_EQ(last_event(away.id), json::parse(decision(Route::kCloud)));
  EXPECT_EQ(events_of(away.id), "accepted started escalated");
  EXPECT_EQ(store_->next_ready(), std::nullopt);
  EXPECT_TRUE(claim(9).empty());
  EXPECT_EQ(count(JobState::kEscalated), 1);
  EXPECT_EQ(count(JobState::kRunning), 0);
  const auto listed = store_->list({.state = JobState::kEscalated, .origin = "", .after = 0, .limit = 9});
  ASSERT_TRUE(listed);
  ASSERT_EQ(listed->size(), 1U);
  EXPECT_EQ(listed->front().id, away.id);
  EXPECT_EQ(store_->retry(away.id)->state, JobState::kEscalated);
}

TEST_F(EscalationTest, AnEscalatedJobDoesNotHoldUpOthers) {
  escalated("a");
  const JobId other = accept("b");
  EXPECT_EQ(claim_one().id, other);
}

TEST_F(EscalationTest, AResultThatCameBackIsPublishedByTheNextClaim) {
  const Job away = escalated("a");
  ASSERT_TRUE(store_->take_back(claim_of(away), decision(Route::kCloud), file_from_cloud_, R"({"seconds":3})"));
  EXPECT_EQ(job(away.id).state, JobState::kQueued);
  EXPECT_EQ(last_event(away.id), (json{{"seconds", 3}}));
  EXPECT_EQ(store_->next_ready(), clock_.now());
  const Job again = claim_one();
  EXPECT_EQ(again.id, away.id);
  EXPECT_EQ(again.epoch, away.epoch + 1);
  EXPECT_EQ(again.returned, file_from_cloud_);
  EXPECT_EQ(again.attempts, 0);
  ASSERT_TRUE(store_->begin_publishing(claim_of(again), publication("a")));
  EXPECT_EQ(job(again.id).returned, file_from_cloud_);
  ASSERT_TRUE(store_->complete(claim_of(again), "{}"));
  EXPECT_EQ(job(again.id).returned, "");
  EXPECT_EQ(job(again.id).decision, decision(Route::kCloud));
  EXPECT_EQ(events_of(again.id), "accepted started escalated returned started done");
}

TEST_F(EscalationTest, AJobThatComesBackWithoutAResultGoesOnHere) {
  const Job away = escalated("a");
  ASSERT_TRUE(store_->take_back(claim_of(away), decision(Route::kLocal), {}, R"({"code":"cloud_failed"})"));
  EXPECT_EQ(events_of(away.id), "accepted started escalated fell_back");
  EXPECT_EQ(last_event(away.id), (json{{"code", "cloud_failed"}}));
  const Job again = claim_one();
  EXPECT_EQ(again.returned, "");
  EXPECT_EQ(again.decision, decision(Route::kLocal));
  EXPECT_EQ(again.crashes, 0);
}

TEST_F(EscalationTest, OnlyTheEpochThatSentAJobAwayTakesItBack) {
  const Job away = escalated("a");
  EXPECT_EQ(code_of(store_->take_back({away.id, away.epoch - 1}, "{}", {}, "{}")), ErrorCode::kConflict);
  EXPECT_EQ(code_of(store_->take_back({away.id, away.epoch + 1}, "{}", {}, "{}")), ErrorCode::kConflict);
  EXPECT_EQ(code_of(store_->take_back({999, 1}, "{}", {}, "{}")), ErrorCode::kConflict);
  ASSERT_TRUE(store_->take_back(claim_of(away), "{}", {}, "{}"));
  EXPECT_EQ(code_of(store_->take_back(claim_of(away), "{}", {}, "{}")), ErrorCode::kConflict);
  const Job again = claim_one();
  ASSERT_TRUE(store_->escalate(claim_of(again), "{}"));
  EXPECT_EQ(code_of(store_->take_back(claim_of(away), "{}", {}, "{}")), ErrorCode::kConflict);
  EXPECT_TRUE(store_->take_back(claim_of(again), "{}", {}, "{}"));
}

TEST_F(EscalationTest, CancellingAnEscalatedJobEndsItAtOnce) {
  const Job away = escalated("a");
  const auto cancelled = store_->cancel(away.id);
  ASSERT_TRUE(cancelled);
  EXPECT_EQ(cancelled->state, JobState::kCancelled);
  EXPECT_EQ(cancelled->finished_at, clock_.now());
  EXPECT_EQ(events_of(away.id), "accepted started escalated cancelled");
  EXPECT_EQ(code_of(store_->take_back(claim_of(away), "{}", file_from_cloud_, "{}")), ErrorCode::kConflict);
  EXPECT_EQ(job(away.id).state, JobState::kCancelled);
  EXPECT_EQ(count(JobState::kEscalated), 0);
}

TEST_F(EscalationTest, AJobWhoseCancellationWasAskedForIsNotSentAway) {
  const Job running = bring_to(JobState::kRunning, "a");
  ASSERT_TRUE(store_->cancel(running.id));
  EXPECT_EQ(code_of(store_->escalate(claim_of(running), "{}")), ErrorCode::kCancelled);
  EXPECT_TRUE(store_->finish_cancelled(claim_of(running)));
}

TEST_F(EscalationTest, ARestartLeavesEscalatedJobsAlone) {
  const Job away = escalated("a");
  open();
  EXPECT_EQ(job(away.id).state, JobState::kEscalated);
  EXPECT_EQ(job(away.id).crashes, 0);
  EXPECT_EQ(job(away.id).epoch, away.epoch);
  EXPECT_EQ(job(away.id).decision, decision(Route::kCloud));
  EXPECT_EQ(count(JobState::kEscalated), 1);
  EXPECT_EQ(events_of(away.id), "accepted started escalated");
  ASSERT_TRUE(store_->take_back(claim_of(away), "{}", file_from_cloud_, "{}"));
  open();
  EXPECT_EQ(job(away.id).state, JobState::kQueued);
  EXPECT_EQ(job(away.id).crashes, 0);
  EXPECT_EQ(claim_one().returned, file_from_cloud_);
}

TEST_F(EscalationTest, ACrashWhileAResultIsPublishedKeepsTheResult) {
  const Job running = returned("a");
  open();
  EXPECT_EQ(job(running.id).crashes, 1);
  EXPECT_EQ(job(running.id).returned, file_from_cloud_);
  const Job again = claim_one();
  ASSERT_TRUE(store_->begin_publishing(claim_of(again), publication("a")));
  open();
  EXPECT_EQ(job(running.id).state, JobState::kQueued);
  EXPECT_EQ(job(running.id).returned, file_from_cloud_);
}

TEST_F(EscalationTest, AJobThatIsTriedAgainKeepsItsDecisionAndResult) {
  const Job running = returned("a");
  ASSERT_TRUE(store_->hand_back(claim_of(running)));
  EXPECT_EQ(job(running.id).returned, file_from_cloud_);
  ASSERT_TRUE(store_->retry_at(claim_of(claim_one()), make_error(ErrorCode::kIoError, "no"), clock_.now(), true));
  EXPECT_EQ(job(running.id).returned, file_from_cloud_);
  EXPECT_EQ(job(running.id).decision, decision(Route::kCloud));
}

TEST_F(EscalationTest, AJobThatEndsLetsGoOfItsResult) {
  const Job failed = returned("failed");
  ASSERT_TRUE(store_->fail(claim_of(failed), make_error(ErrorCode::kCorruptPicture, "bad")));
  EXPECT_EQ(job(failed.id).returned, "");
  const Job cancelled = returned("cancelled");
  ASSERT_TRUE(store_->cancel(cancelled.id));
  ASSERT_TRUE(store_->finish_cancelled(claim_of(cancelled)));
  EXPECT_EQ(job(cancelled.id).returned, "");
}

TEST_F(EscalationTest, ASecondEscalationForgetsTheFirstResult) {
  const Job again = returned("a");
  ASSERT_TRUE(store_->escalate(claim_of(again), decision(Route::kCloud)));
  EXPECT_EQ(job(again.id).returned, "");
}

TEST_F(EscalationTest, ARetryByRequestDecidesAnew) {
  const Job running = returned("a");
  ASSERT_TRUE(store_->fail(claim_of(running), make_error(ErrorCode::kCorruptPicture, "bad")));
  EXPECT_EQ(job(running.id).decision, decision(Route::kCloud));
  const auto retried = store_->retry(running.id);
  ASSERT_TRUE(retried);
  EXPECT_EQ(retried->decision, "");
  EXPECT_EQ(retried->returned, "");
}

TEST_F(EscalationTest, RetentionDoesNotTouchEscalatedJobs) {
  const Job away = escalated("a");
  clock_.advance(minutes(60));
  EXPECT_EQ(*store_->forget(clock_.now(), clock_.now()), 0);
  EXPECT_TRUE(store_->get(away.id));
}

TEST_F(EscalationTest, ADeadlineDoesNotEndAJobThatIsAway) {
  JobRequest wanted = request("a");
  wanted.deadline = clock_.now() + minutes(1);
  const JobId id = accept(wanted);
  const Job claimed = claim_one();
  ASSERT_TRUE(store_->escalate(claim_of(claimed), "{}"));
  clock_.advance(minutes(2));
  EXPECT_TRUE(claim(9).empty());
  EXPECT_EQ(job(id).state, JobState::kEscalated);
  ASSERT_TRUE(store_->take_back(claim_of(claimed), "{}", {}, "{}"));
  EXPECT_TRUE(claim(9).empty());
  EXPECT_EQ(job(id).state, JobState::kFailed);
  EXPECT_EQ(job(id).error->code, ErrorCode::kDeadlinePassed);
}

TEST_F(EscalationTest, ASuspectThatComesBackStillRunsAlone) {
  accept("a");
  claim_one();
  open();
  const Job suspect = claim_one();
  ASSERT_EQ(suspect.crashes, 1);
  ASSERT_TRUE(store_->escalate(claim_of(suspect), "{}"));
  accept("b");
  EXPECT_EQ(claim(9).size(), 1U);
  ASSERT_TRUE(store_->take_back(claim_of(suspect), "{}", {}, "{}"));
  EXPECT_EQ(job(suspect.id).crashes, 1);
  EXPECT_TRUE(claim(9, 1).empty());
}

}  // namespace
}  // namespace retouchd::queue
