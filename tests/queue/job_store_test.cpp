#include "queue/job_store.h"

#include <gmock/gmock.h>

#include <functional>
#include <future>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "store_fixture.h"

namespace retouchd::queue {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

class JobStoreTest : public StoreTest {};

const std::vector<JobState> kStates{JobState::kQueued, JobState::kRunning,   JobState::kPublishing, JobState::kDone,
                                    JobState::kFailed, JobState::kCancelled, JobState::kEscalated};

TEST_F(JobStoreTest, KeepsEveryFieldOfARequest) {
  JobRequest wanted = request("a");
  wanted.identity = {0xffffffffffffffffULL, 7, 8, -9};
  wanted.spooled = true;
  wanted.name = "Ünï\xff code.jpg";  // not UTF-8: a file name
  wanted.error_report = folder_.path() / "a.error.txt";
  wanted.overwrite = true;
  wanted.preview = false;
  wanted.priority = -3;
  wanted.policy = "progressive";
  wanted.skip_good = true;
  wanted.preview_only = true;
  wanted.deadline = clock_.now() + minutes(3);
  const Job found = job(accept(wanted));
  EXPECT_EQ(found.request.key, "a");
  EXPECT_EQ(found.request.origin, "zmq");
  EXPECT_EQ(found.request.source, wanted.source);
  EXPECT_EQ(found.request.identity, wanted.identity);
  EXPECT_TRUE(found.request.spooled);
  EXPECT_EQ(found.request.name, wanted.name);
  EXPECT_EQ(found.request.output, wanted.output);
  EXPECT_EQ(found.request.error_report, wanted.error_report);
  EXPECT_TRUE(found.request.overwrite);
  EXPECT_FALSE(found.request.preview);
  EXPECT_EQ(found.request.network, "builtin");
  EXPECT_EQ(found.request.priority, -3);
  EXPECT_EQ(found.request.policy, "progressive");
  EXPECT_TRUE(found.request.skip_good);
  EXPECT_TRUE(found.request.preview_only);
  EXPECT_EQ(found.request.deadline, wanted.deadline);
  EXPECT_EQ(found.accepted_at, clock_.now());
  EXPECT_EQ(found.state, JobState::kQueued);
}

TEST_F(JobStoreTest, WalksTheWholeWayOfAJob) {
  const JobId id = accept("a");
  Job claimed = claim_one();
  EXPECT_EQ(claimed.id, id);
  EXPECT_EQ(claimed.epoch, 1);
  EXPECT_EQ(claimed.claims, 1);
  EXPECT_EQ(claimed.started_at, clock_.now());
  ASSERT_TRUE(store_->record_preview(claim_of(claimed), "/p/a.jpg", R"({"score":0.5})"));
  ASSERT_TRUE(store_->begin_publishing(claim_of(claimed), publication("a")));
  EXPECT_EQ(job(id).output, publication("a").output);
  clock_.advance(seconds(2));
  ASSERT_TRUE(store_->complete(claim_of(claimed), R"({"tiles":4})"));

  const Job done = job(id);
  EXPECT_EQ(done.state, JobState::kDone);
  EXPECT_EQ(done.finished_at, clock_.now());
  EXPECT_EQ(done.preview, "/p/a.jpg");
  EXPECT_EQ(done.output_size, 10U);
  EXPECT_EQ(done.details, R"({"tiles":4})");
  EXPECT_EQ(events_of(id), "accepted started preview done");
  const auto events = store_->events(id);
  ASSERT_TRUE(events);
  EXPECT_EQ(nlohmann::json::parse((*events)[2].body), nlohmann::json::parse(R"({"score":0.5,"path":"/p/a.jpg"})"));
  const auto end = nlohmann::json::parse((*events)[3].body);
  EXPECT_EQ(end["seconds"], 2.0);
  EXPECT_EQ(end["details"]["tiles"], 4);
}

/// Which call is allowed in which state and where it leads; every other one must change nothing and say kConflict.
TEST_F(JobStoreTest, AllowsExactlyTheTransitionsOfTheTable) {
  struct Call {
    std::string name;
    std::function<Result<void>(Claim)> run;
    std::map<JobState, JobState> allowed;
  };
  const Error error = make_error(ErrorCode::kIoError, "no");
  const std::vector<Call> calls{
      {"record_preview",
       [&](Claim c) { return store_->record_preview(c, "/p", "{}"); },
       {{JobState::kRunning, JobState::kRunning}}},
      {"record_decision", [&](Claim c) { return store_->record_decision(c, "{}"); }, {{JobState::kRunning, JobState::kRunning}}},
      {"record_level", [&](Claim c) { return store_->record_level(c, "{}"); }, {{JobState::kRunning, JobState::kRunning}}},
      {"escalate", [&](Claim c) { return store_->escalate(c, "{}"); }, {{JobState::kRunning, JobState::kEscalated}}},
      {"take_back", [&](Claim c) { return store_->take_back(c, "{}", {}, "{}"); }, {{JobState::kEscalated, JobState::kQueued}}},
      {"begin_publishing",
       [&](Claim c) { return store_->begin_publishing(c, publication("t" + std::to_string(c.id))); },
       {{JobState::kRunning, JobState::kPublishing}, {JobState::kPublishing, JobState::kPublishing}}},
      {"complete", [&](Claim c) { return store_->complete(c, "{}"); }, {{JobState::kPublishing, JobState::kDone}}},
      {"retry_at",
       [&](Claim c) { return store_->retry_at(c, error, clock_.now() + minutes(5), true); },
       {{JobState::kRunning, JobState::kQueued}, {JobState::kPublishing, JobState::kQueued}}},
      {"fail",
       [&](Claim c) { return store_->fail(c, error); },
       {{JobState::kRunning, JobState::kFailed}, {JobState::kPublishing, JobState::kFailed}}},
      {"hand_back",
       [&](Claim c) { return store_->hand_back(c); },
       {{JobState::kRunning, JobState::kQueued}, {JobState::kPublishing, JobState::kQueued}}},
      {"finish_cancelled, unasked", [&](Claim c) { return store_->finish_cancelled(c); }, {}},
  };
  int number = 0;
  for (const Call& call : calls) {
    for (const JobState from : kStates) {
      SCOPED_TRACE(call.name + " from " + std::string(name_of(from)));
      const Job before = bring_to(from, "job" + std::to_string(++number));
      const std::string events = events_of(before.id);
      const auto result = call.run(claim_of(before));
      const auto allowed = call.allowed.find(from);
      const Job after = job(before.id);
      EXPECT_EQ(result.ok(), allowed != call.allowed.end());
      EXPECT_EQ(after.state, result ? allowed->second : from);
      if (!result) {
        EXPECT_EQ(result.error().code, ErrorCode::kConflict);
      }
      if (!result) {
        EXPECT_EQ(events_of(before.id), events);
      }
      // Out of the way of the next one.
      if (after.state == JobState::kRunning || after.state == JobState::kPublishing) {
        EXPECT_TRUE(store_->fail(claim_of(after), error));
      }
      if (after.state == JobState::kQueued || after.state == JobState::kEscalated) {
        EXPECT_TRUE(store_->cancel(after.id));
      }
    }
  }
}

TEST_F(JobStoreTest, RefusesAnOwnerWhoseEpochHasPassed) {
  const Job late = bring_to(JobState::kQueued, "a");
  const Job current = claim_one();
  ASSERT_EQ(current.id, late.id);
  EXPECT_EQ(current.epoch, late.epoch + 1);
  const Claim stale = claim_of(late);
  const Error error = make_error(ErrorCode::kIoError, "late");
  for (const auto& result : {store_->record_preview(stale, "/p", "{}"), store_->begin_publishing(stale, publication("a")),
                             store_->record_decision(stale, "{}"), store_->record_level(stale, "{}"),
                             store_->escalate(stale, "{}"), store_->take_back(stale, "{}", {}, "{}"),
                             store_->complete(stale, "{}"), store_->retry_at(stale, error, clock_.now(), true),
                             store_->fail(stale, error), store_->hand_back(stale), store_->finish_cancelled(stale)}) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, ErrorCode::kConflict);
  }
  EXPECT_EQ(job(current.id).state, JobState::kRunning);
  EXPECT_TRUE(store_->begin_publishing(claim_of(current), publication("a")));
  const auto gone = store_->hand_back({999, 1});
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, ErrorCode::kConflict);
}

TEST_F(JobStoreTest, AnswersTheSameKeyWithTheSameJob) {
  const JobId id = accept("a");
  const auto again = store_->accept_and_wait(request("a"));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->id, id);
  EXPECT_TRUE(again->duplicate);
  EXPECT_EQ(count(JobState::kQueued), 1);

  JobRequest other = request("a");
  other.network = "restormer";
  const auto refused = store_->accept_and_wait(other);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kConflict);
  EXPECT_THAT(refused.error().message, testing::HasSubstr("\"a\""));
  for (const auto& change : std::vector<std::function<void(JobRequest&)>>{[](JobRequest& one) { one.policy = "hybrid"; },
                                                                          [](JobRequest& one) { one.skip_good = true; },
                                                                          [](JobRequest& one) { one.preview_only = true; }}) {
    JobRequest changed = request("a");
    change(changed);
    const auto conflict = store_->accept_and_wait(changed);
    ASSERT_FALSE(conflict);
    EXPECT_EQ(conflict.error().code, ErrorCode::kConflict);
  }
  EXPECT_FALSE(store_->accept_and_wait(request("")));
}

TEST_F(JobStoreTest, TakesASpooledPictureSentAgainForTheSameRequest) {
  JobRequest first = request("a");
  first.spooled = true;
  const JobId id = accept(first);
  JobRequest again = first;
  again.source = folder_.path() / "spool" / "another-copy.jpg";
  again.identity.inode = 77;
  again.identity.mtime_ns = 88;
  const auto accepted = store_->accept_and_wait(again);
  ASSERT_TRUE(accepted);
  EXPECT_EQ(accepted->id, id);
}

TEST_F(JobStoreTest, FindsAJobByItsKey) {
  const JobId id = accept("a");
  const auto found = store_->find_by_key("a");
  ASSERT_TRUE(found && *found);
  EXPECT_EQ((*found)->id, id);
  const auto none = store_->find_by_key("b");
  ASSERT_TRUE(none);
  EXPECT_FALSE(none->has_value());
}

TEST_F(JobStoreTest, ClaimsHighestPriorityThenOldest) {
  for (const auto& [key, priority] :
       std::vector<std::pair<std::string, int>>{{"a", 0}, {"b", 5}, {"c", 0}, {"d", 5}, {"e", -1}}) {
    JobRequest wanted = request(key);
    wanted.priority = priority;
    accept(wanted);
  }
  std::string order;
  for (const Job& one : claim(4)) order += one.request.key;
  for (const Job& one : claim(4)) order += one.request.key;
  EXPECT_EQ(order, "bdace");
  EXPECT_TRUE(claim(4).empty());
  EXPECT_TRUE(claim(0).empty());
}

TEST_F(JobStoreTest, GivesEachJobToOneClaimer) {
  constexpr int kJobs = 200;
  for (int i = 0; i < kJobs; ++i) accept("job" + std::to_string(i));
  std::mutex mutex;
  std::map<JobId, int> taken;
  std::vector<std::thread> claimers;
  for (int i = 0; i < 4; ++i) {
    claimers.emplace_back([&] {
      while (true) {
        const auto jobs = store_->claim({.count = 3});
        ASSERT_TRUE(jobs);
        if (jobs->empty()) return;
        const std::lock_guard lock(mutex);
        for (const Job& one : *jobs) ++taken[one.id];
      }
    });
  }
  for (auto& claimer : claimers) claimer.join();
  EXPECT_EQ(taken.size(), static_cast<std::size_t>(kJobs));
  for (const auto& [id, times] : taken) EXPECT_EQ(times, 1) << id;
  EXPECT_EQ(count(JobState::kRunning), kJobs);
}

TEST_F(JobStoreTest, WaitsOutTheBackOff) {
  EXPECT_EQ(store_->next_ready(), std::nullopt);
  const JobId id = accept("a");
  EXPECT_EQ(store_->next_ready(), clock_.now());
  const Job claimed = claim_one();
  EXPECT_EQ(store_->next_ready(), std::nullopt);
  const UnixMillis when = clock_.now() + seconds(10);
  ASSERT_TRUE(store_->retry_at(claim_of(claimed), make_error(ErrorCode::kIoError, "no"), when, true));
  EXPECT_EQ(store_->next_ready(), when);
  EXPECT_TRUE(claim(1).empty());
  clock_.advance(seconds(10));
  const Job again = claim_one();
  EXPECT_EQ(again.id, id);
  EXPECT_EQ(again.attempts, 1);
  EXPECT_EQ(again.claims, 2);
  ASSERT_TRUE(again.error);
  EXPECT_EQ(again.error->code, ErrorCode::kIoError);
}

TEST_F(JobStoreTest, CountsNoAttemptForCausesOutsideTheJob) {
  const JobId id = accept("a");
  ASSERT_TRUE(store_->retry_at(claim_of(claim_one()), make_error(ErrorCode::kDiskFull, "full"), clock_.now(), false));
  EXPECT_EQ(job(id).attempts, 0);
  EXPECT_EQ(events_of(id), "accepted started waiting");
  ASSERT_TRUE(store_->retry_at(claim_of(claim_one()), make_error(ErrorCode::kIoError, "no"), clock_.now(), true));
  EXPECT_EQ(job(id).attempts, 1);
  EXPECT_EQ(events_of(id), "accepted started waiting started retrying");
}

TEST_F(JobStoreTest, CancelsByState) {
  const JobId queued = accept("queued");
  EXPECT_EQ(store_->cancel(queued)->state, JobState::kCancelled);
  EXPECT_EQ(store_->cancel(queued)->state, JobState::kCancelled);
  EXPECT_EQ(events_of(queued), "accepted cancelled");

  const Job running = bring_to(JobState::kRunning, "running");
  auto asked = store_->cancel(running.id);
  ASSERT_TRUE(asked);
  EXPECT_EQ(asked->state, JobState::kRunning);
  EXPECT_TRUE(asked->cancel_requested);
  ASSERT_TRUE(store_->cancel(running.id));
  EXPECT_EQ(events_of(running.id), "accepted started cancel_requested");
  const auto refused = store_->begin_publishing(claim_of(running), publication("x"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kCancelled);
  ASSERT_TRUE(store_->finish_cancelled(claim_of(running)));
  EXPECT_EQ(job(running.id).state, JobState::kCancelled);

  const Job publishing = bring_to(JobState::kPublishing, "publishing");
  EXPECT_EQ(store_->cancel(publishing.id)->state, JobState::kPublishing);
  ASSERT_TRUE(store_->complete(claim_of(publishing), "{}"));
  EXPECT_EQ(store_->cancel(publishing.id)->state, JobState::kDone);
  EXPECT_EQ(store_->cancel(999).error().code, ErrorCode::kUnknownJob);
}

TEST_F(JobStoreTest, LetsACancelledJobNotGoBackToTheQueue) {
  const Job retried = bring_to(JobState::kRunning, "retried");
  ASSERT_TRUE(store_->cancel(retried.id));
  ASSERT_TRUE(store_->retry_at(claim_of(retried), make_error(ErrorCode::kIoError, "no"), clock_.now(), true));
  EXPECT_EQ(job(retried.id).state, JobState::kCancelled);
  const Job drained = bring_to(JobState::kRunning, "drained");
  ASSERT_TRUE(store_->cancel(drained.id));
  ASSERT_TRUE(store_->hand_back(claim_of(drained)));
  EXPECT_EQ(job(drained.id).state, JobState::kCancelled);
}

TEST_F(JobStoreTest, RetriesAFailedJobFromTheBeginning) {
  const Job failed = bring_to(JobState::kFailed, "a");
  ASSERT_TRUE(job(failed.id).error);
  EXPECT_EQ(job(failed.id).error->message, "bad");
  const auto again = store_->retry(failed.id);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->state, JobState::kQueued);
  EXPECT_EQ(again->claims, 0);
  EXPECT_FALSE(again->error);
  EXPECT_FALSE(again->finished_at);
  EXPECT_EQ(claim_one().epoch, failed.epoch + 1);
  EXPECT_EQ(store_->retry(failed.id)->state, JobState::kRunning);
  EXPECT_EQ(store_->retry(999).error().code, ErrorCode::kUnknownJob);
}

TEST_F(JobStoreTest, LetsOneJobPublishAtAPathAtATime) {
  accept("a");
  accept("b");
  const auto jobs = claim(2);
  ASSERT_TRUE(store_->begin_publishing(claim_of(jobs[0]), publication("same")));
  const auto busy = store_->begin_publishing(claim_of(jobs[1]), publication("same"));
  ASSERT_FALSE(busy);
  EXPECT_EQ(busy.error().code, ErrorCode::kBusy);
  ASSERT_TRUE(store_->complete(claim_of(jobs[0]), "{}"));
  EXPECT_TRUE(store_->begin_publishing(claim_of(jobs[1]), publication("same")));
  EXPECT_TRUE(store_->complete(claim_of(jobs[1]), "{}"));
}

TEST_F(JobStoreTest, KnowsItsOwnOutputs) {
  const auto own = [&](const std::string& sha256) { return *store_->is_own_output(publication("a").output, sha256); };
  const std::string first(64, 'a'), second(64, 'b');
  EXPECT_FALSE(own(first));
  bring_to(JobState::kDone, "a");
  EXPECT_TRUE(own(first));
  EXPECT_FALSE(own(second));

  // Another job is about to replace it: before the rename the older file stands there, afterwards its own.
  accept("b");
  const Job next = claim_one();
  auto replacing = publication("a");
  replacing.sha256 = second;
  replacing.replaces = first;
  ASSERT_TRUE(store_->begin_publishing(claim_of(next), replacing));
  EXPECT_TRUE(own(first));
  EXPECT_TRUE(own(second));
  ASSERT_TRUE(store_->complete(claim_of(next), "{}"));
  EXPECT_FALSE(own(first));
  EXPECT_TRUE(own(second));
}

TEST_F(JobStoreTest, ListsNewestFirstInPages) {
  for (int i = 0; i < 5; ++i) accept("job" + std::to_string(i));
  JobRequest watched = request("watched");
  watched.origin = "watch:in";
  const JobId last = accept(watched);
  ASSERT_TRUE(store_->cancel(2));
  const auto ids = [&](const JobStore::Filter& filter) {
    std::vector<JobId> found;
    const auto jobs = store_->list(filter);
    EXPECT_TRUE(jobs);
    for (const Job& one : *jobs) found.push_back(one.id);
    return found;
  };
  EXPECT_THAT(ids({}), testing::ElementsAre(6, 5, 4, 3, 2, 1));
  EXPECT_THAT(ids({.state = {}, .origin = "", .after = 4, .limit = 2}), testing::ElementsAre(3, 2));
  EXPECT_THAT(ids({.state = JobState::kCancelled, .origin = "", .after = 0, .limit = 9}), testing::ElementsAre(2));
  EXPECT_THAT(ids({.state = JobState::kQueued, .origin = "watch:in", .after = 0, .limit = 9}), testing::ElementsAre(last));
}

TEST_F(JobStoreTest, KeepsCountsEqualToTheTable) {
  for (const JobState state : kStates) bring_to(state, std::string(name_of(state)));
  const auto before = *store_->counts();
  // One of them had been queued first and was claimed by the next.
  store_.reset();
  auto again = try_open();
  ASSERT_TRUE(again);
  store_ = std::move(*again);
  EXPECT_EQ(before[0] + before[1] + before[2], count(JobState::kQueued));
  EXPECT_EQ(before[3], count(JobState::kDone));
  EXPECT_EQ(before[4], count(JobState::kFailed));
  EXPECT_EQ(before[5], count(JobState::kCancelled));
  EXPECT_EQ(before[6], count(JobState::kEscalated));
}

TEST_F(JobStoreTest, ForgetsByAgeAndState) {
  const Job done = bring_to(JobState::kDone, "done");
  const Job failed = bring_to(JobState::kFailed, "failed");
  const JobId queued = accept("queued");
  clock_.advance(minutes(1));
  EXPECT_EQ(*store_->forget(clock_.now() - minutes(2), clock_.now() - minutes(2)), 0);
  EXPECT_EQ(*store_->forget(clock_.now(), clock_.now() - minutes(2)), 1);
  EXPECT_EQ(store_->get(done.id).error().code, ErrorCode::kUnknownJob);
  EXPECT_EQ(store_->events(done.id).error().code, ErrorCode::kUnknownJob);
  EXPECT_TRUE(store_->get(failed.id));
  EXPECT_EQ(*store_->forget(clock_.now(), clock_.now()), 1);
  EXPECT_TRUE(store_->get(queued));
  EXPECT_EQ(count(JobState::kDone) + count(JobState::kFailed), 0);
  // The key is free again, the number is not.
  EXPECT_GT(accept("done"), queued);
}

TEST_F(JobStoreTest, RemembersWatchKeysForEver) {
  JobRequest watched = request("w");
  watched.origin = "watch:in";
  const JobId id = accept(watched);
  const Job claimed = claim_one();
  ASSERT_TRUE(store_->begin_publishing(claim_of(claimed), publication("w")));
  ASSERT_TRUE(store_->complete(claim_of(claimed), "{}"));
  clock_.advance(minutes(1));
  ASSERT_EQ(*store_->forget(clock_.now(), clock_.now()), 1);
  const auto again = store_->accept_and_wait(watched);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->id, id);
  EXPECT_TRUE(again->duplicate);
  const auto found = store_->find_by_key("w");
  ASSERT_TRUE(found && *found);
  EXPECT_EQ((*found)->state, JobState::kDone);
  EXPECT_TRUE(*store_->is_own_output(publication("w").output, publication("w").sha256));
}

TEST_F(JobStoreTest, TellsTheListenerWhatIsCommittedInOrder) {
  std::mutex mutex;
  std::vector<std::string> seen;
  store_->set_listener([&](const std::vector<JobEvent>& events) {
    const std::lock_guard lock(mutex);
    for (const JobEvent& event : events) seen.push_back(std::to_string(event.seq) + event.kind);
  });
  bring_to(JobState::kDone, "a");
  store_.reset();  // everything is delivered before it goes
  EXPECT_THAT(seen, testing::ElementsAre("1accepted", "2started", "3done"));
}

TEST_F(JobStoreTest, SaysBusyWhenTooManyAcceptsWait) {
  // Holds the store's thread inside a listener while more arrive than may wait.
  std::promise<void> held, release;
  std::once_flag once;
  store_->set_listener([&](const std::vector<JobEvent>&) {
    std::call_once(once, [&] {
      held.set_value();
      release.get_future().wait();
    });
  });
  accept("first");
  held.get_future().wait();
  constexpr int kAsked = 5000;
  std::atomic<int> busy{0}, accepted{0};
  for (int i = 0; i < kAsked; ++i) {
    store_->accept(request("job" + std::to_string(i)), [&](const Result<JobStore::Accepted>& result) {
      if (result) ++accepted;
      if (!result && result.error().code == ErrorCode::kBusy) ++busy;
    });
  }
  EXPECT_GT(busy.load(), 0);
  EXPECT_EQ(accepted.load(), 0);
  release.set_value();
  store_.reset();
  EXPECT_EQ(busy + accepted, kAsked);
  open();
  EXPECT_EQ(count(JobState::kQueued), accepted + 1);
}

TEST_F(JobStoreTest, LetsOneBadCallHarmNoOtherOfItsGroup) {
  std::atomic<int> accepted{0}, refused{0};
  for (int i = 0; i < 100; ++i) {
    store_->accept(request(i % 10 == 0 ? "" : "job" + std::to_string(i)),
                   [&](const Result<JobStore::Accepted>& result) { ++(result ? accepted : refused); });
  }
  store_.reset();
  EXPECT_EQ(accepted, 90);
  EXPECT_EQ(refused, 10);
}

}  // namespace
}  // namespace retouchd::queue
