#include "queue/job_recovery.h"

#include <gmock/gmock.h>

#include "queue/file_placement.h"
#include "queue/publisher.h"
#include "store_fixture.h"

namespace retouchd::queue {
namespace {

using std::chrono::minutes;

/// Closing the store without ending its jobs leaves the file as a kill does: all that was committed, and nothing else.
class JobRecoveryTest : public StoreTest {
 protected:
  /// A job that is publishing `text`, whose temporary is complete.
  Job publishing(const std::string& key, const std::string& text, const std::string& replaces = "", bool overwrite = false) {
    JobRequest wanted = request(key);
    wanted.overwrite = overwrite;
    accept(wanted);
    const Job claimed = claim_one();
    temporary_ = temporary_for(wanted.output, claimed.id, claimed.epoch);
    EXPECT_TRUE(write_temporary(temporary_, bytes_of(text)));
    EXPECT_TRUE(store_->begin_publishing(claim_of(claimed), {wanted.output, temporary_, sha256_hex(bytes_of(text)), text.size(),
                                                             replaces.empty() ? "" : sha256_hex(bytes_of(replaces))}));
    return claimed;
  }

  std::filesystem::path temporary_;
};

TEST_F(JobRecoveryTest, PutsARunningJobBackAsASuspect) {
  const Job before = bring_to(JobState::kRunning, "a");
  open();
  const Job after = job(before.id);
  EXPECT_EQ(after.state, JobState::kQueued);
  EXPECT_EQ(after.crashes, 1);
  EXPECT_EQ(after.attempts, 0);
  ASSERT_TRUE(after.error);
  EXPECT_EQ(after.error->code, ErrorCode::kCrashedDaemon);
  EXPECT_EQ(events_of(before.id), "accepted started retrying");
  EXPECT_EQ(claim_one().epoch, before.epoch + 1);
}

TEST_F(JobRecoveryTest, RefusesTheClaimOfADeadProcess) {
  const Job before = bring_to(JobState::kRunning, "a");
  open();
  const auto late = store_->begin_publishing(claim_of(before), publication("a"));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ErrorCode::kConflict);
}

TEST_F(JobRecoveryTest, LeavesOtherStatesAsTheyAre) {
  for (const JobState state : {JobState::kDone, JobState::kFailed, JobState::kCancelled})
    bring_to(state, std::string(name_of(state)));
  const JobId queued = accept("queued");
  open();
  EXPECT_EQ(count(JobState::kDone), 1);
  EXPECT_EQ(count(JobState::kFailed), 1);
  EXPECT_EQ(count(JobState::kCancelled), 1);
  EXPECT_EQ(job(queued).crashes, 0);
  EXPECT_EQ(job(queued).state, JobState::kQueued);
}

TEST_F(JobRecoveryTest, GivesUpAJobThatEndedTheProcessThreeTimes) {
  const JobId id = accept("poison");
  for (int crash = 1; crash <= 3; ++crash) {
    ASSERT_EQ(job(id).state, JobState::kQueued);
    claim_one();
    open();
    EXPECT_EQ(job(id).crashes, crash);
  }
  EXPECT_EQ(job(id).state, JobState::kFailed);
  EXPECT_EQ(job(id).error->code, ErrorCode::kCrashedDaemon);
  EXPECT_THAT(job(id).error->message, testing::HasSubstr("poison.jpg"));
  EXPECT_EQ(events_of(id), "accepted started retrying started retrying started failed");
}

TEST_F(JobRecoveryTest, CancelsAJobWhoseCancellationWasAskedFor) {
  const Job before = bring_to(JobState::kRunning, "a");
  ASSERT_TRUE(store_->cancel(before.id));
  open();
  EXPECT_EQ(job(before.id).state, JobState::kCancelled);
}

TEST_F(JobRecoveryTest, RunsSuspectsAloneAndLast) {
  accept("a");
  accept("b");
  ASSERT_EQ(claim(2).size(), 2U);
  open();
  const JobId fresh = accept("c");
  const auto first = claim(8);
  ASSERT_EQ(first.size(), 1U);
  EXPECT_EQ(first[0].id, fresh);
  EXPECT_TRUE(claim(8, 1).empty());
  EXPECT_EQ(store_->next_ready(), std::nullopt);  // until the fresh one ends
  ASSERT_TRUE(store_->hand_back(claim_of(first[0])));
  ASSERT_TRUE(store_->cancel(fresh));
  EXPECT_EQ(store_->next_ready(), clock_.now());
  const auto suspect = claim(8);
  ASSERT_EQ(suspect.size(), 1U);
  EXPECT_EQ(suspect[0].request.key, "a");
  accept("d");
  EXPECT_TRUE(claim(8, 1).empty());
  EXPECT_EQ(store_->next_ready(), std::nullopt);
  ASSERT_TRUE(store_->fail(claim_of(suspect[0]), make_error(ErrorCode::kCorruptPicture, "bad")));
  EXPECT_EQ(claim(8)[0].request.key, "d");
}

TEST_F(JobRecoveryTest, TheLeastSuspectedRunsFirstSoThatKillsDoNotPileUpOnOneJob) {
  accept("a");
  accept("b");
  ASSERT_EQ(claim(2).size(), 2U);
  open();
  EXPECT_EQ(claim_one().request.key, "a");
  open();  // died again, with `a` alone
  EXPECT_EQ(claim_one().request.key, "b");
}

TEST_F(JobRecoveryTest, DoesNotLetNewJobsKeepSuspectsWaitingForEver) {
  accept("a");
  claim_one();
  open();
  accept("b");
  accept("c");
  const auto first = claim(1);
  EXPECT_EQ(first[0].request.key, "b");
  clock_.advance(minutes(10));
  EXPECT_TRUE(claim(1, 1).empty());
  EXPECT_EQ(store_->next_ready(), std::nullopt);
  ASSERT_TRUE(store_->fail(claim_of(first[0]), make_error(ErrorCode::kCorruptPicture, "bad")));
  EXPECT_EQ(store_->next_ready(), clock_.now());
  EXPECT_EQ(claim(1)[0].request.key, "a");
}

TEST_F(JobRecoveryTest, FinishesAJobWhoseResultIsInPlace) {
  const Job before = publishing("a", "restored");
  ASSERT_TRUE(place_file(temporary_, before.request.output, Existing::kKeep));
  open();
  const Job after = job(before.id);
  EXPECT_EQ(after.state, JobState::kDone);
  EXPECT_EQ(after.output, before.request.output);
  EXPECT_EQ(events_of(before.id), "accepted started done");
  EXPECT_EQ(read_text(before.request.output), "restored");
  EXPECT_FALSE(std::filesystem::exists(temporary_.parent_path()));
}

TEST_F(JobRecoveryTest, PlacesACompleteTemporary) {
  const Job before = publishing("a", "restored");
  open();
  EXPECT_EQ(job(before.id).state, JobState::kDone);
  EXPECT_EQ(read_text(before.request.output), "restored");
  EXPECT_FALSE(std::filesystem::exists(temporary_.parent_path()));
}

TEST_F(JobRecoveryTest, RedoesAJobWhoseTemporaryIsDamaged) {
  const Job before = publishing("a", "restored");
  write_text(temporary_, "rest");
  open();
  EXPECT_EQ(job(before.id).state, JobState::kQueued);
  EXPECT_FALSE(std::filesystem::exists(before.request.output));
  EXPECT_FALSE(std::filesystem::exists(temporary_.parent_path()));
}

TEST_F(JobRecoveryTest, LeavesAStrangersFileAlone) {
  const Job before = publishing("a", "restored");
  write_text(before.request.output, "a stranger's");
  open();
  EXPECT_EQ(job(before.id).state, JobState::kQueued);
  EXPECT_EQ(read_text(before.request.output), "a stranger's");
}

TEST_F(JobRecoveryTest, ReplacesItsOwnOlderFile) {
  const Job before = publishing("a", "restored", "older");
  write_text(before.request.output, "older");
  open();
  EXPECT_EQ(job(before.id).state, JobState::kDone);
  EXPECT_EQ(read_text(before.request.output), "restored");
}

TEST_F(JobRecoveryTest, ReplacesAnythingWhenTheJobMayOverwrite) {
  const Job before = publishing("a", "restored", "", true);
  write_text(before.request.output, "a stranger's");
  open();
  EXPECT_EQ(job(before.id).state, JobState::kDone);
  EXPECT_EQ(read_text(before.request.output), "restored");
}

TEST_F(JobRecoveryTest, ReplacesItsResultWhenItsPlaceIsBackLater) {
  // The disk with the results was not there at the restart, so the job ran again; now its first result stands in the way.
  const Job before = publishing("a", "first");
  ASSERT_TRUE(place_file(temporary_, before.request.output, Existing::kKeep));
  const auto out = before.request.output.parent_path();
  std::filesystem::rename(out, out.string() + ".away");
  open();
  ASSERT_EQ(job(before.id).state, JobState::kQueued);
  std::filesystem::rename(out.string() + ".away", out);
  Publisher publisher(*store_);
  const Job again = claim_one();
  const auto published = publisher.publish(again, again.request.output, writes(bytes_of("second")));
  ASSERT_TRUE(published) << published.error().message;
  EXPECT_EQ(read_text(again.request.output), "second");
}

TEST_F(JobRecoveryTest, RemovesUnfinishedFilesOfADeadProcess) {
  const Job before = bring_to(JobState::kRunning, "a");
  const auto temporary = temporary_for(before.request.output, before.id, before.epoch);
  const auto auxiliary = unique_temporary_for(before.request.output);
  const auto others = temporary.parent_path() / "1.7.1";  // process 1 lives
  for (const auto& file : {temporary, auxiliary, others}) write_text(file, "half");
  open();
  EXPECT_FALSE(std::filesystem::exists(temporary));
  EXPECT_FALSE(std::filesystem::exists(auxiliary));
  EXPECT_TRUE(std::filesystem::exists(others));
}

TEST_F(JobRecoveryTest, TellsTheFirstListenerWhatWasRecovered) {
  bring_to(JobState::kRunning, "a");
  open();
  std::vector<std::string> seen;
  store_->set_listener([&](const std::vector<JobEvent>& events) {
    for (const JobEvent& event : events) seen.push_back(event.kind);
  });
  accept("b");
  store_.reset();
  EXPECT_THAT(seen, testing::ElementsAre("retrying", "accepted"));
}

}  // namespace
}  // namespace retouchd::queue
