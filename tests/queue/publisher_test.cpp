#include "queue/publisher.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <thread>

#include "queue/file_placement.h"
#include "store_fixture.h"

namespace retouchd::queue {
namespace {

class PublisherTest : public StoreTest {
 protected:
  Result<void> publish(const Job& job, const std::string& text) {
    return Publisher(*store_).publish(job, job.request.output, writes(bytes_of(text), R"({"tiles":1})"));
  }
  Job claimed(const std::string& key, const std::string& output, bool overwrite = false) {
    JobRequest wanted = request(key);
    wanted.output = folder_.path() / "out" / output;
    wanted.overwrite = overwrite;
    accept(wanted);
    return claim_one();
  }
  [[nodiscard]] bool leaves_nothing() const { return !std::filesystem::exists(folder_.path() / "out" / kTemporaryFolder); }
};

TEST_F(PublisherTest, WritesTheResultAndEndsTheJob) {
  const Job one = claimed("a", "deep/down/a.jpg");
  ASSERT_TRUE(publish(one, "restored"));
  EXPECT_EQ(read_text(one.request.output), "restored");
  const Job done = job(one.id);
  EXPECT_EQ(done.state, JobState::kDone);
  EXPECT_EQ(done.output, one.request.output);
  EXPECT_EQ(done.output_sha256, sha256_hex(bytes_of("restored")));
  EXPECT_EQ(done.output_size, 8U);
  EXPECT_EQ(done.details, R"({"tiles":1})");
  EXPECT_FALSE(std::filesystem::exists(one.request.output.parent_path() / kTemporaryFolder));
}

TEST_F(PublisherTest, NothingTemporaryIsLeftWhenTheEndIsTold) {
  std::atomic<bool> was_clean = false;
  store_->set_listener([&](const std::vector<JobEvent>& events) {
    for (const JobEvent& event : events) {
      if (event.kind == "done") was_clean = leaves_nothing();
    }
  });
  ASSERT_TRUE(publish(claimed("a", "a.jpg"), "restored"));
  store_.reset();  // after its listener's last call
  EXPECT_TRUE(was_clean);
}

TEST_F(PublisherTest, KeepsAStrangersFile) {
  const Job one = claimed("a", "a.jpg");
  write_text(one.request.output, "a stranger's");
  const auto refused = publish(one, "restored");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kOutputExists);
  EXPECT_THAT(refused.error().message, testing::HasSubstr("a.jpg"));
  EXPECT_EQ(read_text(one.request.output), "a stranger's");
  EXPECT_TRUE(leaves_nothing());
  EXPECT_TRUE(store_->fail(claim_of(one), refused.error()));
}

TEST_F(PublisherTest, ReplacesItsOwnFileButNotAChangedOne) {
  ASSERT_TRUE(publish(claimed("a", "x.jpg"), "first"));
  const Job second = claimed("b", "x.jpg");
  ASSERT_TRUE(publish(second, "second"));
  EXPECT_EQ(read_text(second.request.output), "second");
  write_text(second.request.output, "retouched by hand");
  const auto refused = publish(claimed("c", "x.jpg"), "third");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kOutputExists);
  EXPECT_EQ(read_text(second.request.output), "retouched by hand");
}

TEST_F(PublisherTest, ReplacesAnyFileWhenTheJobMayOverwrite) {
  const Job one = claimed("a", "a.jpg", true);
  write_text(one.request.output, "a stranger's");
  ASSERT_TRUE(publish(one, "restored"));
  EXPECT_EQ(read_text(one.request.output), "restored");
}

TEST_F(PublisherTest, NeverReplacesAFolder) {
  const Job one = claimed("a", "a.jpg", true);
  std::filesystem::create_directories(one.request.output);
  const auto refused = publish(one, "restored");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kOutputExists);
}

TEST_F(PublisherTest, DoesNotFollowALinkThatStandsAtTheTarget) {
  const auto elsewhere = folder_.path() / "elsewhere.jpg";
  write_text(elsewhere, "another picture");
  const Job one = claimed("a", "a.jpg", true);
  std::filesystem::create_directories(one.request.output.parent_path());
  std::filesystem::create_symlink(elsewhere, one.request.output);
  ASSERT_TRUE(publish(one, "restored"));
  EXPECT_EQ(read_text(elsewhere), "another picture");
  EXPECT_FALSE(std::filesystem::is_symlink(one.request.output));
}

TEST_F(PublisherTest, LeavesNothingWhenTheClaimWasLost) {
  const Job late = claimed("a", "a.jpg");
  ASSERT_TRUE(store_->hand_back(claim_of(late)));
  claim_one();
  const auto refused = publish(late, "late");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kConflict);
  EXPECT_TRUE(leaves_nothing());
  EXPECT_FALSE(std::filesystem::exists(late.request.output));
}

TEST_F(PublisherTest, CanBeRepeatedAfterTheRename) {
  // complete() had failed, say for a full disk: the same claim publishes once more.
  const Job one = claimed("a", "a.jpg");
  write_text(one.request.output, "restored");
  ASSERT_TRUE(store_->begin_publishing(claim_of(one), {one.request.output, "gone", sha256_hex(bytes_of("restored")), 8, ""}));
  ASSERT_TRUE(publish(one, "restored"));
  EXPECT_EQ(job(one.id).state, JobState::kDone);
}

TEST_F(PublisherTest, SaysDeniedWhenAFileStandsWhereAFolderIsNeeded) {
  write_text(folder_.path() / "out", "a file");
  const Job one = claimed("a", "a.jpg");
  const auto refused = publish(one, "restored");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kOutputDenied);
  EXPECT_THAT(refused.error().message, testing::HasSubstr("out"));
}

TEST_F(PublisherTest, SaysDeniedWithoutPermission) {
  const auto closed = folder_.path() / "closed";
  std::filesystem::create_directories(closed);
  ASSERT_EQ(::chmod(closed.c_str(), 0555), 0);
  const bool root = ::geteuid() == 0;  // root may write anywhere
  if (root) {
    ASSERT_EQ(::seteuid(65534), 0);
  }
  const auto refused = Publisher::write_atomically(closed / "a.jpg", bytes_of("x"));
  if (root) {
    ASSERT_EQ(::seteuid(0), 0);
  }
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kOutputDenied);
  EXPECT_THAT(refused.error().message, testing::HasSubstr(closed.string()));
}

TEST_F(PublisherTest, ReplacesAtomicallyWhatNoJobDependsOn) {
  const auto file = folder_.path() / "previews" / "a.jpg";
  ASSERT_TRUE(Publisher::write_atomically(file, bytes_of("first")));
  ASSERT_TRUE(Publisher::write_atomically(file, bytes_of("second")));
  EXPECT_EQ(read_text(file), "second");
  EXPECT_FALSE(std::filesystem::exists(file.parent_path() / kTemporaryFolder));
}

TEST_F(PublisherTest, PublishesManyJobsIntoOneFolderAtOnce) {
  constexpr int kJobs = 60;
  for (int i = 0; i < kJobs; ++i) accept("job" + std::to_string(i));
  std::vector<std::thread> workers;
  for (int i = 0; i < 4; ++i) {
    workers.emplace_back([this] {
      while (true) {
        const auto jobs = store_->claim({});
        ASSERT_TRUE(jobs);
        if (jobs->empty()) return;
        const auto published = publish(jobs->front(), jobs->front().request.key);
        EXPECT_TRUE(published) << published.error().message;
      }
    });
  }
  for (auto& worker : workers) worker.join();
  EXPECT_EQ(count(JobState::kDone), kJobs);
  EXPECT_TRUE(leaves_nothing());
  for (int i = 0; i < kJobs; ++i) EXPECT_EQ(read_text(request("job" + std::to_string(i)).output), "job" + std::to_string(i));
}

TEST_F(PublisherTest, LetsOneOfTwoStrangersWinAPlace) {
  // Two jobs want one path, and a third program puts a file there between the look and the rename: NOREPLACE decides.
  const auto temporary = folder_.path() / "t";
  const auto target = folder_.path() / "a.jpg";
  write_text(temporary, "restored");
  write_text(target, "a stranger's");
  const auto refused = place_file(temporary, target, Existing::kKeep);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kOutputExists);
  EXPECT_EQ(read_text(target), "a stranger's");
}

}  // namespace
}  // namespace retouchd::queue
